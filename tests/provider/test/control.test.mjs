import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CLIENT, SCOPE, startProvider } from './support.mjs';

let provider;
before(async () => (provider = await startProvider()));
after(() => provider.stop());
beforeEach(() => provider.reset());

const verify = async (token) =>
	(await fetch(`${provider.origin}/_control/verify`, { headers: { authorization: `Bearer ${token}` } })).status;

describe('log and counts', () => {
	it('tell what was asked and how it ended', async () => {
		const { refresh_token } = await provider.connect();
		const { body } = await provider.refresh(refresh_token);
		await provider.refresh('unknown');
		await provider.fault({ kind: 'status', status: 500 });
		await provider.post('/token', { ...CLIENT, grant_type: 'refresh_token', refresh_token });
		await provider.post('/token/revocation', { token: refresh_token });

		const entries = await provider.logged();
		assert.deepEqual(
			entries.map((entry) => [entry.endpoint, entry.grant_type, entry.status, entry.result, entry.error, entry.fault]),
			[
				['token', 'authorization_code', 200, 'ok', null, null],
				['token', 'refresh_token', 200, 'ok', null, null],
				['token', 'refresh_token', 400, 'invalid_grant', 'invalid_grant', null],
				['token', 'refresh_token', 500, null, null, 'status'],
				['revocation', null, 200, 'ok', null, null],
			],
		);
		assert.equal(entries[1].refresh_token, refresh_token);
		assert.equal(entries[1].access_token, body.access_token);
		assert.ok(entries.every((entry) => entry.peer_port > 0));
		assert.equal(entries[1].expires_in, body.expires_in);
		assert.ok(entries[1].started_at <= entries[1].issued_at && entries[1].issued_at <= Date.now());
		assert.deepEqual([entries[2].issued_at, entries[2].expires_in], [null, null]);
		assert.equal(entries[0].new_refresh_token, refresh_token);
		assert.equal(entries[4].token, refresh_token);

		assert.deepEqual(await provider.counts(), {
			endpoints: {
				token: { requests: 4, outcomes: { ok: 2, invalid_grant: 1, 'fault:status': 1 } },
				revocation: { requests: 1, outcomes: { ok: 1 } },
			},
			grant_types: {
				authorization_code: { requests: 1, outcomes: { ok: 1 } },
				refresh_token: { requests: 3, outcomes: { ok: 1, invalid_grant: 1, 'fault:status': 1 } },
			},
			faults: { status: 1 },
			open: 0,
			max_overlap: 1,
			overlapping_refresh_tokens: {},
		});
	});

	it('can be filtered and forgotten', async () => {
		const { refresh_token } = await provider.grant();
		await provider.refresh(refresh_token);
		await provider.refresh('unknown');
		assert.equal((await provider.logged(`refresh_token=${refresh_token}`)).length, 1);
		const [first] = await provider.logged('endpoint=token&grant_type=refresh_token');
		assert.equal((await provider.logged(`after=${first.sequence}`)).length, 1);
		await provider.control('DELETE', 'log');
		assert.deepEqual(await provider.logged(), []);
		assert.equal((await provider.counts()).max_overlap, 0);
	});

	it('show calls for one refresh token that overlap', async () => {
		const [one, two] = [await provider.grant(), await provider.grant()];
		await provider.fault({ kind: 'hold', times: 4 });
		const tokens = [one, one, one, two].map(({ refresh_token }) => refresh_token);
		const answers = tokens.map((token) => provider.refresh(token));
		while ((await provider.counts()).open < 4) await new Promise((resume) => setImmediate(resume));
		await provider.control('POST', 'release');
		await Promise.all(answers);
		const counts = await provider.counts();
		assert.equal(counts.max_overlap, 3);
		assert.deepEqual(counts.overlapping_refresh_tokens, { [one.refresh_token]: 3 });
	});
});

describe('settings', () => {
	it('decide what the ID token says of the e-mail address', async () => {
		const claims = async () => {
			const { id_token } = await provider.connect({ params: { scope: 'openid email' } });
			return JSON.parse(Buffer.from(id_token.split('.')[1], 'base64url'));
		};
		assert.deepEqual(await claims().then(({ email, email_verified }) => [email, email_verified]), ['owner@example.test', true]);
		await provider.control('POST', 'settings', { email_verified: false });
		assert.equal((await claims()).email_verified, false);
		await provider.control('POST', 'settings', { email_claim: false });
		assert.equal('email' in (await claims()), false);
	});

	it('change the access token lifetime', async () => {
		await provider.control('POST', 'settings', { access_token_ttl: 1 });
		const { refresh_token } = await provider.grant();
		const { body } = await provider.refresh(refresh_token);
		assert.equal(body.expires_in, 1);
		assert.equal(await verify(body.access_token), 200);
		while ((await verify(body.access_token)) === 200) await new Promise((resume) => setImmediate(resume));
		assert.equal(await provider.isActive(body.access_token), false);
		assert.equal(await provider.isActive(refresh_token), true);
	});

	it('can keep refresh tokens back', async () => {
		await provider.control('POST', 'settings', { issue_refresh_token: false });
		assert.equal((await provider.connect()).refresh_token, undefined);
	});

	it('are refused when unknown or of the wrong type', async () => {
		for (const settings of [{ rotates: true }, { rotate: 'yes' }, { access_token_ttl: 0 }]) {
			assert.equal((await provider.control('POST', 'settings', settings)).status, 400);
		}
		assert.equal((await provider.control('GET', 'settings')).body.rotate, false);
	});
});

describe('clients', () => {
	it('come, change their secret, and go', async () => {
		const client = { client_id: 'c/1.apps.example', client_secret: 'first' };
		await provider.control('POST', 'clients', client);
		const { refresh_token } = await provider.grant({ client_id: client.client_id });
		assert.equal((await provider.refresh(refresh_token, client)).status, 200);
		await provider.control('POST', 'clients', { ...client, client_secret: 'second' });
		assert.equal((await provider.refresh(refresh_token, client)).body.error, 'invalid_client');
		assert.equal((await provider.refresh(refresh_token, { ...client, client_secret: 'second' })).status, 200);
		await provider.control('DELETE', `clients/${encodeURIComponent(client.client_id)}`);
		assert.equal((await provider.refresh(refresh_token, { ...client, client_secret: 'second' })).body.error, 'invalid_client');
	});

	it('cannot use each other\'s tokens', async () => {
		const client = { client_id: 'c-2', client_secret: 'other' };
		await provider.control('POST', 'clients', client);
		const { refresh_token } = await provider.grant();
		assert.equal((await provider.refresh(refresh_token, client)).body.error, 'invalid_grant');
	});
});

describe('grants', () => {
	it('are made without a browser, many at once', async () => {
		const { body } = await provider.control('POST', 'grants', { ...CLIENT, count: 1000, login: 'bulk@example.test' });
		assert.equal(new Set(body.grants.map((grant) => grant.refresh_token)).size, 1000);
		const last = body.grants.at(-1);
		assert.equal(last.scope, SCOPE);
		assert.equal(await verify(last.access_token), 200);
		assert.equal((await provider.refresh(last.refresh_token)).status, 200);
		const { body: killed } = await provider.control('POST', 'revoke', { client_id: CLIENT.client_id, login: 'bulk@example.test' });
		assert.equal(killed.revoked, 1000);
		assert.equal(await verify(last.access_token), 401);
	});

	it('are killed behind the client\'s back', async () => {
		const { refresh_token } = await provider.grant();
		assert.equal((await provider.control('POST', 'revoke', { refresh_token })).body.revoked, 1);
		assert.equal((await provider.refresh(refresh_token)).body.error, 'invalid_grant');
	});

	it('need a client that exists', async () => {
		assert.equal((await provider.control('POST', 'grants', { client_id: 'nobody' })).status, 404);
	});
});

describe('the control API', () => {
	it('refuses what it does not know', async () => {
		assert.equal((await provider.control('GET', 'nothing')).status, 404);
		assert.equal((await provider.control('PUT', 'clients')).status, 404);
		assert.equal((await provider.control('DELETE', 'clients/%zz')).status, 400);
		const response = await fetch(`${provider.origin}/_control/faults`, { method: 'POST', body: '{' });
		assert.equal(response.status, 400);
	});

	it('tells what a token is', async () => {
		const { access_token, refresh_token } = await provider.grant({ login: 'w@example.test' });
		const kinds = [];
		for (const token of [access_token, refresh_token]) {
			const { body } = await provider.control('POST', 'introspect', { token });
			kinds.push([body.active, body.kind, body.client_id, body.login]);
		}
		assert.deepEqual(kinds, [
			[true, 'access_token', CLIENT.client_id, 'w@example.test'],
			[true, 'refresh_token', CLIENT.client_id, 'w@example.test'],
		]);
		assert.equal(await verify(refresh_token), 401);
		assert.equal(await verify('nothing'), 401);
	});
});

describe('the command', () => {
	const run = async (...args) => {
		const child = spawn(fileURLToPath(new URL('../start', import.meta.url)), args);
		let [out, err] = ['', ''];
		child.stdout.on('data', (data) => (out += data));
		child.stderr.on('data', (data) => (err += data));
		const [code] = await once(child, 'close');
		return { code, out, err };
	};

	it('explains itself', async () => {
		const { code, out } = await run('--help');
		assert.equal(code, 0);
		assert.match(out, /^usage: /);
	});

	it('exits 2 on wrong usage and 1 on a busy port', async () => {
		assert.equal((await run('--bogus')).code, 2);
		assert.equal((await run('--port', '70000')).code, 2);
		const busy = await run('--port', new URL(provider.origin).port);
		assert.equal(busy.code, 1);
		assert.match(busy.err, /cannot listen/);
	});
});
