// The control API under /_control: what tests use to arrange and to look. JSON in and out.

import { BadControlRequest } from './faults.mjs';
import { addClient, BUSINESS_SCOPE, endGrant, grantsOf, SCOPES } from './provider.mjs';

const BODY_LIMIT = 1024 * 1024;
const BULK_LIMIT = 100_000;

const CHECKS = {
	boolean: { valid: (value) => typeof value === 'boolean', allowed: 'true or false' },
	number: { valid: (value) => Number.isInteger(value) && value > 0, allowed: 'a positive integer' },
	string: { valid: (value) => typeof value === 'string' && value !== '', allowed: 'a string, not empty' },
};

function need(type, name, value) {
	if (!CHECKS[type].valid(value)) throw new BadControlRequest(`${name}: ${CHECKS[type].allowed}`);
	return value;
}

const optional = (type, name, value, fallback) => (value === undefined ? fallback : need(type, name, value));

async function putClient({ store }, { client_id, client_secret }) {
	need('string', 'client_id', client_id);
	need('string', 'client_secret', client_secret);
	await addClient(store, { client_id, client_secret });
	return { client_id };
}

async function deleteClient({ store }, body, query, clientId) {
	await store.model('Client').destroy(clientId);
	return {};
}

function changeSettings({ settings }, changes) {
	for (const [name, value] of Object.entries(changes)) {
		if (!Object.hasOwn(settings, name)) throw new BadControlRequest(`${name}: no such setting`);
		need(typeof settings[name], name, value);
	}
	return Object.assign(settings, changes);
}

/** The live token @value, of either kind; undefined when it does not work. */
async function findToken({ provider }, value) {
	for (const model of [provider.AccessToken, provider.RefreshToken]) {
		const token = await model.find(value);
		if (token?.isValid && (await provider.Grant.find(token.grantId))) return token;
	}
	return undefined;
}

async function introspect(world, { token: value }) {
	const token = await findToken(world, need('string', 'token', value));
	if (!token) return { active: false };
	return {
		active: true,
		kind: token.kind === 'AccessToken' ? 'access_token' : 'refresh_token',
		client_id: token.clientId,
		login: token.accountId,
		scope: token.scope,
		expires_in: token.remainingTTL,
	};
}

async function makeGrants(world, { client_id, scope, login, count }) {
	const { provider, offlineGrants } = world;
	const client = await provider.Client.find(need('string', 'client_id', client_id));
	if (!client) throw new BadControlRequest('client_id: no such client', 404);
	const granted = optional('string', 'scope', scope, BUSINESS_SCOPE);
	const unknown = granted.split(' ').filter((name) => !SCOPES.includes(name));
	if (unknown.length > 0) throw new BadControlRequest(`scope: unknown: ${unknown.join(' ')}`);
	const accountId = optional('string', 'login', login, 'person@example.test');
	const wanted = optional('number', 'count', count, 1);
	if (wanted > BULK_LIMIT) throw new BadControlRequest(`count: at most ${BULK_LIMIT}`);

	const grants = [];
	for (let i = 0; i < wanted; i += 1) {
		const grant = new provider.Grant({ accountId, clientId: client.clientId });
		grant.addOIDCScope(granted);
		const grantId = await grant.save();
		offlineGrants.add(grantId);
		const issued = { accountId, client, grantId, gty: 'authorization_code', scope: granted };
		const access = new provider.AccessToken(issued);
		const refresh = new provider.RefreshToken({ ...issued, rotations: 0 });
		grants.push({
			access_token: await access.save(),
			refresh_token: await refresh.save(),
			expires_in: access.expiration,
			scope: granted,
			token_type: 'Bearer',
		});
	}
	return count === undefined ? grants[0] : { grants };
}

async function revoke({ provider, store }, { refresh_token: value, client_id: clientId, login }) {
	let grants;
	if (value !== undefined) {
		const token = await provider.RefreshToken.find(need('string', 'refresh_token', value));
		grants = token ? [token.grantId] : [];
	} else {
		need('string', 'client_id', clientId);
		grants = grantsOf(store, clientId, optional('string', 'login', login));
	}
	await Promise.all(grants.map((id) => endGrant(provider, id)));
	return { revoked: grants.length };
}

function showLog({ log }, body, { after, ...filters }) {
	return { entries: log.select(filters, Number(after ?? 0)) };
}

// "METHOD path" → handler(world, body, query, rest of the path)
const ROUTES = {
	'POST clients': putClient,
	'DELETE clients/': deleteClient,
	'GET settings': ({ settings }) => settings,
	'POST settings': changeSettings,
	'GET faults': ({ faults }) => ({ faults: faults.list() }),
	'POST faults': ({ faults }, body) => faults.add(body),
	'DELETE faults': ({ faults }) => (faults.clear(), {}),
	'POST release': ({ faults }) => ({ released: faults.release() }),
	'GET log': showLog,
	'DELETE log': ({ log }) => (log.clear(), {}),
	'GET counts': ({ log }) => log.counts(),
	'POST introspect': introspect,
	'POST revoke': revoke,
	'POST grants': makeGrants,
};

function decode(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		throw new BadControlRequest('the path is badly percent-encoded');
	}
}

async function readJson(req) {
	const chunks = [];
	let size = 0;
	for await (const chunk of req) {
		size += chunk.length;
		if (size > BODY_LIMIT) throw new BadControlRequest('body too large', 413);
		chunks.push(chunk);
	}
	if (size === 0) return {};
	let body;
	try {
		body = JSON.parse(Buffer.concat(chunks).toString());
	} catch {
		throw new BadControlRequest('the body is not JSON');
	}
	if (typeof body !== 'object' || body === null) throw new BadControlRequest('the body is no JSON object');
	return body;
}

function send(res, status, body, headers = {}) {
	const text = JSON.stringify(body);
	res.writeHead(status, {
		'cache-control': 'no-store',
		'content-length': Buffer.byteLength(text),
		'content-type': 'application/json',
		...headers,
	});
	res.end(text);
}

/** What a resource server does with an access token. */
async function verify(world, req, res) {
	const [, value] = /^Bearer ([^ ]+)$/.exec(req.headers.authorization ?? '') ?? [];
	const token = value && (await findToken(world, value));
	if (token?.kind === 'AccessToken') {
		return send(res, 200, { client_id: token.clientId, login: token.accountId, scope: token.scope });
	}
	return send(res, 401, { error: 'invalid_token' }, { 'www-authenticate': 'Bearer error="invalid_token"' });
}

export function controlApi(world) {
	return async (req, res) => {
		try {
			const url = new URL(req.url, 'http://control');
			const path = url.pathname.slice('/_control/'.length);
			if (req.method === 'GET' && path === 'verify') return await verify(world, req, res);

			const [, resource, rest] = /^([^/]*\/?)(.*)$/.exec(path);
			const handler = ROUTES[`${req.method} ${resource}`];
			if (!handler) throw new BadControlRequest('no such control call', 404);
			const body = await readJson(req);
			return send(res, 200, await handler(world, body, Object.fromEntries(url.searchParams), decode(rest)));
		} catch (error) {
			if (!(error instanceof BadControlRequest)) throw error;
			return send(res, error.status, { error: error.message });
		}
	};
}
