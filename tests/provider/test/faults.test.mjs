import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { CLIENT, startProvider } from './support.mjs';

let provider;
before(async () => (provider = await startProvider()));
after(() => provider.stop());
beforeEach(() => provider.reset());

const refreshForm = (refreshToken) => ({ ...CLIENT, grant_type: 'refresh_token', refresh_token: refreshToken });

async function timed(call) {
	const start = performance.now();
	const result = await call();
	return { result, ms: performance.now() - start };
}

async function until(condition) {
	while (!(await condition())) await new Promise((resume) => setImmediate(resume));
}

describe('faults', () => {
	for (const kind of ['delay', 'delay_after']) {
		it(`${kind}: the real answer, later`, async () => {
			const { refresh_token } = await provider.grant();
			await provider.fault({ kind, ms: 150 });
			const { result, ms } = await timed(() => provider.refresh(refresh_token));
			assert.equal(result.status, 200);
			assert.ok(ms >= 145, `${ms} ms`);
		});
	}

	it('hold, hold_after: until released; processed after and before', async () => {
		await provider.control('POST', 'settings', { rotate: true });
		for (const [kind, processed] of [['hold', false], ['hold_after', true]]) {
			const { refresh_token } = await provider.grant();
			await provider.fault({ kind });
			const answer = provider.refresh(refresh_token);
			await until(async () => (await provider.logged(`refresh_token=${refresh_token}`))[0]?.fault === kind);
			await until(async () => (await provider.isActive(refresh_token)) === !processed);
			assert.equal((await provider.control('POST', 'release')).body.released, 1);
			assert.equal((await answer).status, 200);
		}
	});

	it('hang: no answer; over when the peer leaves', async () => {
		const { refresh_token } = await provider.grant();
		await provider.fault({ kind: 'hang' });
		const leave = new AbortController();
		const answer = provider.post('/token', refreshForm(refresh_token), { signal: leave.signal });
		await until(async () => (await provider.counts()).open === 1);
		leave.abort();
		await assert.rejects(answer);
		await until(async () => (await provider.counts()).open === 0);
		const [entry] = await provider.logged();
		assert.deepEqual([entry.fault, entry.result, entry.status, entry.aborted], ['hang', null, null, true]);
		assert.ok(entry.ended_at >= entry.started_at);
	});

	for (const [kind, processed] of [['drop', false], ['drop_after', true]]) {
		it(`${kind}: the connection closes; ${processed ? '' : 'not '}processed`, async () => {
			await provider.control('POST', 'settings', { rotate: true });
			const { refresh_token } = await provider.grant();
			await provider.fault({ kind });
			await assert.rejects(provider.post('/token', refreshForm(refresh_token)), TypeError);
			assert.equal(await provider.isActive(refresh_token), !processed);
			const [entry] = await provider.logged();
			assert.equal(entry.result, processed ? 'ok' : null);
			assert.equal(Boolean(entry.new_refresh_token), processed);
			assert.deepEqual([entry.status, entry.aborted], [null, true]);
		});
	}

	it('drip: the real answer, byte by byte', async () => {
		const { refresh_token } = await provider.grant();
		await provider.fault({ kind: 'drip', ms: 1 });
		const { result, ms } = await timed(() => provider.refresh(refresh_token));
		assert.ok(await provider.isActive(result.body.access_token));
		assert.ok(ms >= JSON.stringify(result.body).length, `${ms} ms`);
	});

	it('status: any answer', async () => {
		const { refresh_token } = await provider.grant();
		for (const [fault, type, text] of [
			[{ status: 429, headers: { 'retry-after': '7' }, body: { error: 'rate' } }, 'application/json', '{"error":"rate"}'],
			[{ status: 500, body: '<h1>Oops</h1>' }, 'text/html; charset=utf-8', '<h1>Oops</h1>'],
			[{ status: 200, body: {} }, 'application/json', '{}'],
			[{ status: 200, body: '{"access', content_type: 'application/json' }, 'application/json', '{"access'],
			[{ status: 503 }, 'text/html; charset=utf-8', ''],
		]) {
			assert.equal((await provider.fault({ kind: 'status', ...fault })).status, 200);
			const response = await provider.post('/token', refreshForm(refresh_token));
			assert.equal(response.status, fault.status);
			assert.equal(response.headers.get('content-type'), type);
			assert.equal(response.headers.get('retry-after'), fault.headers?.['retry-after'] ?? null);
			assert.equal(await response.text(), text);
		}
	});

	for (const chunked of [false, true]) {
		it(`huge: that many bytes${chunked ? ', chunked' : ''}`, async () => {
			await provider.fault({ kind: 'huge', bytes: 300_000, chunked });
			const response = await provider.post('/token', refreshForm('any'));
			assert.equal(response.headers.get('content-length'), chunked ? null : '300000');
			const text = await response.text();
			assert.equal(text.length, 300_000);
			assert.equal(JSON.parse(text).expires_in, 3600);
		});
	}

	it('rewrite: the real answer, bent', async () => {
		const { refresh_token } = await provider.grant();
		await provider.fault({ kind: 'rewrite', set: { expires_in: '60', scope: 'less' }, remove: ['token_type'] });
		const { body } = await provider.refresh(refresh_token);
		assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'scope']);
		assert.equal(body.expires_in, '60');
		assert.equal(body.scope, 'less');
		const [entry] = await provider.logged();
		assert.equal(entry.access_token, body.access_token);
	});

	it('oauth_error: that error', async () => {
		const { refresh_token } = await provider.grant();
		await provider.fault({ kind: 'oauth_error', status: 401, error: 'invalid_client', error_description: 'Unauthorized' });
		const { status, body } = await provider.refresh(refresh_token);
		assert.equal(status, 401);
		assert.deepEqual(body, { error: 'invalid_client', error_description: 'Unauthorized' });
		assert.equal((await provider.refresh(refresh_token)).status, 200);
	});

	it('hit only what they name, first match first, so many times', async () => {
		const [mine, other] = [await provider.grant(), await provider.grant()];
		await provider.fault({ kind: 'oauth_error', error: 'one', refresh_token: mine.refresh_token, times: 2 });
		await provider.fault({ kind: 'oauth_error', error: 'all', grant_type: 'refresh_token', times: null });
		await provider.fault({ kind: 'oauth_error', error: 'never', grant_type: 'authorization_code' });
		const errors = [];
		for (const { refresh_token } of [mine, other, mine, mine, other]) {
			errors.push((await provider.refresh(refresh_token)).body.error);
		}
		assert.deepEqual(errors, ['one', 'all', 'one', 'all', 'all']);
		assert.equal((await provider.control('GET', 'faults')).body.faults.length, 2);
		await provider.control('DELETE', 'faults');
		assert.equal((await provider.refresh(mine.refresh_token)).status, 200);
	});

	it('work at the revocation endpoint too', async () => {
		const { refresh_token } = await provider.grant();
		await provider.fault({ endpoint: 'revocation', kind: 'status', status: 503, token: refresh_token });
		assert.equal((await provider.post('/token/revocation', { token: refresh_token })).status, 503);
		assert.equal(await provider.isActive(refresh_token), true);
		assert.equal((await provider.post('/token/revocation', { token: refresh_token })).status, 200);
		assert.equal(await provider.isActive(refresh_token), false);
	});

	it('are refused when misspelt', async () => {
		for (const fault of [
			{ kind: 'explode' },
			{ kind: 'delay' },
			{ kind: 'delay', ms: '5' },
			{ kind: 'drop', ms: 5 },
			{ kind: 'drop', refreshtoken: 'x' },
			{ kind: 'drop', times: 0 },
			{ kind: 'drop', endpoint: 'userinfo' },
		]) {
			assert.equal((await provider.fault(fault)).status, 400, JSON.stringify(fault));
		}
		assert.deepEqual((await provider.control('GET', 'faults')).body.faults, []);
	});
});
