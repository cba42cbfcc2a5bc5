// Storage of oidc-provider's models, in memory: gone when the process ends.
// The library's own memory adapter keeps 1,000 records; a test run needs more.

// Oldest records go first. Access tokens are what a long load run piles up.
const LIMITS = { AccessToken: 300_000 };
const DEFAULT_LIMIT = 1_000_000;

class ModelStore {
	#records = new Map(); // id → { payload, expiresAt (ms epoch) }
	#byGrant = new Map(); // grant id → Set of ids
	#byUid = new Map(); // session uid → id
	#limit;

	constructor(model) {
		this.#limit = LIMITS[model] ?? DEFAULT_LIMIT;
	}

	async upsert(id, payload, expiresInSeconds) {
		const expiresAt = expiresInSeconds === undefined ? Infinity : Date.now() + expiresInSeconds * 1000;
		this.#records.set(id, { payload, expiresAt });
		if (payload.grantId) {
			const members = this.#byGrant.get(payload.grantId);
			if (members) members.add(id);
			else this.#byGrant.set(payload.grantId, new Set([id]));
		}
		if (payload.uid) this.#byUid.set(payload.uid, id);
		if (this.#records.size > this.#limit) await this.destroy(this.#records.keys().next().value);
	}

	async find(id) {
		const record = this.#records.get(id);
		if (!record) return undefined;
		if (record.expiresAt <= Date.now()) {
			await this.destroy(id);
			return undefined;
		}
		return record.payload;
	}

	async findByUid(uid) {
		return this.find(this.#byUid.get(uid));
	}

	async findByUserCode() {
		return undefined; // the device flow is off
	}

	async consume(id) {
		const record = this.#records.get(id);
		if (record) record.payload.consumed = Math.floor(Date.now() / 1000);
	}

	async destroy(id) {
		const record = this.#records.get(id);
		if (!record) return;
		this.#records.delete(id);
		const { grantId, uid } = record.payload;
		const members = this.#byGrant.get(grantId);
		if (members?.delete(id) && members.size === 0) this.#byGrant.delete(grantId);
		if (uid && this.#byUid.get(uid) === id) this.#byUid.delete(uid);
	}

	async revokeByGrantId(grantId) {
		for (const id of this.#byGrant.get(grantId) ?? []) this.#records.delete(id);
		this.#byGrant.delete(grantId);
	}

	/** Every live [id, payload]; linear, for the control API. */
	*entries() {
		const now = Date.now();
		for (const [id, { payload, expiresAt }] of this.#records) {
			if (expiresAt > now) yield [id, payload];
		}
	}
}

export class Store {
	#models = new Map();

	/** The store of one model; also what oidc-provider calls as its adapter factory. */
	model(name) {
		let model = this.#models.get(name);
		if (!model) this.#models.set(name, (model = new ModelStore(name)));
		return model;
	}
}
