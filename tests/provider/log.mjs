// What reached the token and revocation endpoints, and how it ended.

const KEPT_ENTRIES = 100_000; // the counters go on beyond that

const increment = (counts, key) => {
	counts[key] = (counts[key] ?? 0) + 1;
};

const tally = (table, key) => (table[key] ??= { requests: 0, outcomes: {} });

export class RequestLog {
	#sequence = 0;
	#entries = [];
	#open = 0;
	#overlap = new Map(); // refresh token → { open, max }
	#generation = 0;
	#counts = RequestLog.#noCounts();

	static #noCounts() {
		return { endpoints: {}, grant_types: {}, faults: {} };
	}

	/** A request has arrived. The entry is filled in by outcome() and end(). */
	begin(endpoint, form, peerPort) {
		const entry = {
			sequence: ++this.#sequence,
			started_at: Date.now(),
			peer_port: peerPort, // of the connection it came on: whose requests are one process'
			ended_at: null, // null while the answer is under way
			endpoint,
			grant_type: form.grant_type ?? null,
			client_id: form.client_id ?? null,
			refresh_token: form.refresh_token ?? null,
			code: form.code ?? null,
			token: form.token ?? null, // what a revocation names
			fault: null,
			result: null, // of the real processing: "ok", an OAuth error code; null when there was none
			status: null, // of the answer; null when none was sent
			error: null, // the answer's own error code
			access_token: null, // what the real processing issued, whether or not it was delivered
			new_refresh_token: null,
			issued_at: null, // when that was, and for how many seconds
			expires_in: null,
			aborted: false, // the peer left, or a fault cut the connection, before the answer was out
		};
		// Not part of the JSON: which side of a DELETE /_control/log this entry belongs to.
		Object.defineProperty(entry, 'generation', { value: this.#generation });
		this.#entries.push(entry);
		if (this.#entries.length > KEPT_ENTRIES * 1.1) this.#entries = this.#entries.slice(-KEPT_ENTRIES);

		this.#open += 1;
		tally(this.#counts.endpoints, endpoint).requests += 1;
		if (entry.grant_type) tally(this.#counts.grant_types, entry.grant_type).requests += 1;
		if (entry.refresh_token) {
			const overlap = this.#overlap.get(entry.refresh_token) ?? { open: 0, max: 0 };
			overlap.open += 1;
			overlap.max = Math.max(overlap.max, overlap.open);
			this.#overlap.set(entry.refresh_token, overlap);
		}
		return entry;
	}

	fault(entry, kind) {
		entry.fault = kind;
		if (entry.generation === this.#generation) increment(this.#counts.faults, kind);
	}

	/** It is decided how the request ends: @outcome is "ok", an error code or "fault:<kind>". */
	outcome(entry, outcome) {
		if (entry.generation !== this.#generation) return;
		increment(tally(this.#counts.endpoints, entry.endpoint).outcomes, outcome);
		if (entry.grant_type) increment(tally(this.#counts.grant_types, entry.grant_type).outcomes, outcome);
	}

	/** The answer is out, or the connection is gone, and nothing is being processed any more. */
	end(entry) {
		entry.ended_at = Date.now();
		this.#open -= 1;
		const overlap = this.#overlap.get(entry.refresh_token);
		if (overlap) overlap.open -= 1;
	}

	/** Entries that have every given property, oldest first. */
	select(filters, after = 0) {
		return this.#entries.filter(
			(entry) =>
				entry.sequence > after &&
				Object.entries(filters).every(([key, value]) => String(entry[key]) === String(value)),
		);
	}

	counts() {
		const overlaps = [...this.#overlap].map(([token, { max }]) => [token, max]);
		return {
			...this.#counts,
			open: this.#open,
			max_overlap: overlaps.reduce((max, [, value]) => Math.max(max, value), 0),
			// Only the remarkable ones: with 100,000 branches the rest would be all ones.
			overlapping_refresh_tokens: Object.fromEntries(overlaps.filter(([, max]) => max > 1)),
		};
	}

	/** Forgets what was; requests under way stay in the overlap count until they end. */
	clear() {
		this.#generation += 1;
		this.#entries = [];
		this.#counts = RequestLog.#noCounts();
		for (const [token, overlap] of this.#overlap) {
			if (overlap.open === 0) this.#overlap.delete(token);
			else overlap.max = overlap.open;
		}
	}
}
