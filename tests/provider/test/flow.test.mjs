import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Browser, CLIENT, REDIRECT_URI, SCOPE, startProvider } from './support.mjs';

let provider;
before(async () => (provider = await startProvider()));
after(async () => assert.equal(await provider.stop(), 0));
beforeEach(() => provider.reset());

describe('consent', () => {
	it('leads to a code, and the code with its verifier to tokens', async () => {
		const { code, state, iss, verifier } = await provider.consent();
		assert.equal(state, 's-1');
		assert.equal(iss, provider.origin);
		const { status, body } = await provider.exchange({ code, verifier });
		assert.equal(status, 200);
		assert.deepEqual(Object.keys(body).sort(), ['access_token', 'expires_in', 'refresh_token', 'scope', 'token_type']);
		assert.equal(body.expires_in, 3600);
		assert.equal(body.scope, SCOPE);
		assert.equal(body.token_type, 'Bearer');
	});

	it('shows who asks for what, for whom, and that it is a stand-in', async () => {
		const { page } = await provider.consent({ params: { login_hint: 'a<b>&"c@example.test' } });
		assert.match(page.text, /<code id="client-id">sandbox-client<\/code>/);
		assert.ok(page.text.includes(SCOPE));
		assert.match(page.text, /No Google account is involved/);
		assert.match(page.text, /value="a&lt;b&gt;&amp;&quot;c@example.test"/);
		assert.match(page.headers.get('content-security-policy'), /default-src 'none'/);
	});

	it('can be denied', async () => {
		const { error, state, code, iss } = await provider.consent({ action: 'deny' });
		assert.deepEqual({ error, state, code, iss }, { error: 'access_denied', state: 's-1', code: undefined, iss: provider.origin });
	});

	it('can be given without the requested access', async () => {
		const { status, body } = await provider.exchange(await provider.consent({ action: 'allow-less' }));
		assert.equal(status, 200);
		assert.equal(body.scope, 'openid');
		assert.ok(body.refresh_token);
	});

	it('keeps the identity scopes when the rest is refused', async () => {
		const params = { scope: `openid email ${SCOPE}` };
		const { body } = await provider.exchange(await provider.consent({ action: 'allow-less', params }));
		assert.equal(body.scope, 'openid https://www.googleapis.com/auth/userinfo.email');
		const claims = JSON.parse(Buffer.from(body.id_token.split('.')[1], 'base64url'));
		assert.equal(claims.email, 'owner@example.test');
	});

	it('is for the account that the person names', async () => {
		const { access_token } = await provider.connect({ login: 'other@example.test' });
		const { body } = await provider.control('POST', 'introspect', { token: access_token });
		assert.equal(body.login, 'other@example.test');
	});

	it('is asked for anew each time, also of another account, in one browser', async () => {
		const browser = new Browser();
		for (const login of ['one@example.test', 'two@example.test', 'one@example.test']) {
			const { page, code } = await provider.consent({ browser, login, params: { prompt: undefined } });
			assert.match(page.text, /id="allow"/);
			assert.ok(code);
		}
	});

	it('works in two tabs of one browser at once', async () => {
		const browser = new Browser();
		const tabs = await Promise.all([provider.consent({ browser }), provider.consent({ browser })]);
		for (const tab of tabs) assert.equal((await provider.exchange(tab)).status, 200);
	});
});

describe('authorization requests', () => {
	it('need PKCE', async () => {
		const { error } = await provider.consent({ params: { code_challenge: undefined, code_challenge_method: undefined } });
		assert.equal(error, 'invalid_request');
	});

	it('need S256', async () => {
		const plain = await provider.consent({ params: { code_challenge_method: 'plain' } });
		assert.equal(plain.error, 'invalid_request');
	});

	it('accept Google\'s include_granted_scopes', async () => {
		const { code } = await provider.consent({ params: { include_granted_scopes: 'true' } });
		assert.ok(code);
	});

	for (const [what, params, error] of [
		['a foreign redirect URI', { redirect_uri: 'http://localhost:8002/elsewhere' }, 'invalid_redirect_uri'],
		['an unknown client', { client_id: 'nobody' }, 'invalid_client'],
		['a bare scope', { scope: 'business.manage' }, 'invalid_scope'],
	]) {
		it(`show ${what} on the provider's own page`, async () => {
			const url = provider.authorizationUrl({
				client_id: CLIENT.client_id, redirect_uri: REDIRECT_URI, response_type: 'code', scope: SCOPE, ...params,
			});
			const page = await new Browser().visit(url);
			assert.equal(page.status, 400);
			assert.match(page.text, new RegExp(`<code id="error">${error}</code>`));
		});
	}

	it('without access_type=offline give no refresh token', async () => {
		const body = await provider.connect({ params: { access_type: undefined } });
		assert.ok(body.access_token);
		assert.equal(body.refresh_token, undefined);
	});
});

describe('the code', () => {
	it('needs its verifier', async () => {
		const { code } = await provider.consent();
		const { status, body } = await provider.exchange({ code, verifier: 'x'.repeat(43) });
		assert.deepEqual([status, body.error], [400, 'invalid_grant']);
	});

	it('needs its redirect URI', async () => {
		const { code, verifier } = await provider.consent();
		const { body } = await provider.exchange({ code, verifier, redirectUri: 'http://localhost:1/auth/callback' });
		assert.equal(body.error, 'invalid_grant');
	});

	it('used twice ends the grant', async () => {
		const consent = await provider.consent();
		const { body: tokens } = await provider.exchange(consent);
		assert.equal((await provider.exchange(consent)).body.error, 'invalid_grant');
		assert.equal(await provider.isActive(tokens.access_token), false);
		assert.equal((await provider.refresh(tokens.refresh_token)).body.error, 'invalid_grant');
	});
});

describe('refresh', () => {
	it('keeps the refresh token and does not repeat it', async () => {
		const { refresh_token, access_token } = await provider.connect();
		const first = await provider.refresh(refresh_token);
		const second = await provider.refresh(refresh_token);
		assert.deepEqual([first.status, second.status], [200, 200]);
		assert.equal('refresh_token' in first.body, false);
		assert.equal(first.body.scope, SCOPE);
		assert.notEqual(first.body.access_token, access_token);
		assert.notEqual(first.body.access_token, second.body.access_token);
		assert.ok(await provider.isActive(first.body.access_token));
	});

	it('rotates when told to, and reuse ends the grant', async () => {
		await provider.control('POST', 'settings', { rotate: true });
		const { refresh_token: first } = await provider.connect();
		const { body } = await provider.refresh(first);
		assert.ok(body.refresh_token);
		assert.notEqual(body.refresh_token, first);
		assert.equal((await provider.refresh(first)).body.error, 'invalid_grant');
		assert.equal((await provider.refresh(body.refresh_token)).body.error, 'invalid_grant');
		assert.equal(await provider.isActive(body.access_token), false);
	});

	it('with a wrong secret or client is the client\'s fault', async () => {
		const { refresh_token } = await provider.grant();
		for (const fields of [{ client_secret: 'wrong' }, { client_id: 'nobody' }]) {
			const { status, body } = await provider.refresh(refresh_token, fields);
			assert.deepEqual([status, body.error], [401, 'invalid_client']);
		}
		assert.ok(await provider.isActive(refresh_token));
	});

	it('without a secret or without a grant type is refused', async () => {
		const { refresh_token } = await provider.grant();
		const noSecret = await provider.post('/token', { grant_type: 'refresh_token', refresh_token, client_id: CLIENT.client_id });
		assert.equal((await noSecret.json()).error, 'invalid_client');
		assert.equal((await provider.token({})).body.error, 'invalid_request');
	});
});

describe('revocation', () => {
	for (const [what, credentials] of [['with client authentication', CLIENT], ['as Google takes it', {}]]) {
		it(`ends a grant, ${what}`, async () => {
			const { refresh_token, access_token } = await provider.connect();
			const response = await provider.post('/token/revocation', { ...credentials, token: refresh_token });
			assert.equal(response.status, 200);
			assert.equal(await provider.isActive(access_token), false);
			assert.equal((await provider.refresh(refresh_token)).body.error, 'invalid_grant');
		});
	}

	it('of an access token ends its refresh token', async () => {
		const { refresh_token, access_token } = await provider.grant();
		await provider.post('/token/revocation', { token: access_token });
		assert.equal(await provider.isActive(refresh_token), false);
	});

	it('ends the person\'s other grants to that client, and nobody else\'s', async () => {
		const mine = await provider.grant({ login: 'r@example.test' });
		const alsoMine = await provider.grant({ login: 'r@example.test' });
		const theirs = await provider.grant({ login: 's@example.test' });
		await provider.post('/token/revocation', { token: mine.refresh_token });
		assert.equal(await provider.isActive(alsoMine.refresh_token), false);
		assert.equal(await provider.isActive(theirs.refresh_token), true);

		await provider.control('POST', 'settings', { revoke_person: false });
		const [one, two] = [await provider.grant(), await provider.grant()];
		await provider.post('/token/revocation', { token: one.refresh_token });
		assert.equal(await provider.isActive(two.refresh_token), true);
	});

	it('of an unknown token is 400 without a client, 200 with one', async () => {
		const google = await provider.post('/token/revocation', { token: 'nothing' });
		assert.deepEqual([google.status, (await google.json()).error], [400, 'invalid_token']);
		assert.equal((await provider.post('/token/revocation', { ...CLIENT, token: 'nothing' })).status, 200);
	});
});
