// One stand-in provider per test file, a browser without a screen, and the calls that a client makes.

import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const CLIENT = { client_id: 'sandbox-client', client_secret: 'sandbox-secret' };
export const SCOPE = 'https://www.googleapis.com/auth/business.manage';
export const REDIRECT_URI = 'http://localhost:8002/auth/callback';

export async function startProvider() {
	const child = spawn(fileURLToPath(new URL('../start', import.meta.url)), ['--port', '0'], {
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	const lines = createInterface({ input: child.stdout });
	const [line] = await once(lines, 'line');
	const origin = /^stand-in provider ready: (http:\S+)$/.exec(line)[1];
	return new ProviderUnderTest(origin, child);
}

class ProviderUnderTest {
	constructor(origin, child) {
		this.origin = origin;
		this.child = child;
	}

	/** Ends it; the exit code. */
	async stop() {
		const exited = once(this.child, 'exit');
		this.child.kill('SIGTERM');
		return (await exited)[0];
	}

	async control(method, path, body) {
		const response = await fetch(`${this.origin}/_control/${path}`, {
			method,
			body: body && JSON.stringify(body),
		});
		return { status: response.status, body: await response.json() };
	}

	fault(fault) {
		return this.control('POST', 'faults', { endpoint: 'token', ...fault });
	}

	async grant(fields = {}) {
		return (await this.control('POST', 'grants', { client_id: CLIENT.client_id, ...fields })).body;
	}

	async counts() {
		return (await this.control('GET', 'counts')).body;
	}

	async logged(query = '') {
		return (await this.control('GET', `log?${query}`)).body.entries;
	}

	async isActive(token) {
		return (await this.control('POST', 'introspect', { token })).body.active;
	}

	/** Clean slate: settings, faults, log. */
	async reset() {
		await this.control('DELETE', 'faults');
		await this.control('DELETE', 'log');
		await this.control('POST', 'settings', {
			access_token_ttl: 3600,
			email_claim: true,
			email_verified: true,
			issue_refresh_token: true,
			revoke_person: true,
			rotate: false,
		});
	}

	post(path, fields, options = {}) {
		return fetch(this.origin + path, { method: 'POST', body: new URLSearchParams(fields), ...options });
	}

	async token(fields) {
		const response = await this.post('/token', { ...CLIENT, ...fields });
		return { status: response.status, body: await response.json() };
	}

	refresh(refreshToken, fields = {}) {
		return this.token({ grant_type: 'refresh_token', refresh_token: refreshToken, ...fields });
	}

	exchange({ code, verifier, redirectUri = REDIRECT_URI }) {
		return this.token({ grant_type: 'authorization_code', code, code_verifier: verifier, redirect_uri: redirectUri });
	}

	authorizationUrl(params) {
		const url = new URL('/auth', this.origin);
		for (const [name, value] of Object.entries(params)) {
			if (value !== undefined) url.searchParams.set(name, value);
		}
		return url.href;
	}

	/** Walks from /auth to the redirect to the client, pressing @action; the callback's parameters. */
	async consent({ action = 'allow', login, params = {}, browser = new Browser() } = {}) {
		const verifier = randomBytes(32).toString('base64url');
		const start = this.authorizationUrl({
			access_type: 'offline',
			client_id: CLIENT.client_id,
			code_challenge: createHash('sha256').update(verifier).digest('base64url'),
			code_challenge_method: 'S256',
			login_hint: 'owner@example.test',
			prompt: 'consent',
			redirect_uri: REDIRECT_URI,
			response_type: 'code',
			scope: SCOPE,
			state: 's-1',
			...params,
		});
		const page = await browser.visit(start);
		if (page.callback) return { ...page.callback, verifier };
		const done = await browser.visit(page.url, { action, login: login ?? /name="login"[^>]*value="([^"]*)"/.exec(page.text)[1] });
		return { ...done.callback, verifier, page };
	}

	async connect(options) {
		const { code, verifier } = await this.consent(options);
		return (await this.exchange({ code, verifier })).body;
	}
}

/** Follows redirects with cookies (by path, as browsers do) until a page or the client's callback. */
export class Browser {
	#cookies = new Map(); // name + path → { name, path, value }

	async visit(url, form) {
		for (let hops = 0; hops < 10; hops += 1) {
			if (url.startsWith(REDIRECT_URI)) {
				return { callback: Object.fromEntries(new URL(url).searchParams) };
			}
			const response = await fetch(url, {
				method: form ? 'POST' : 'GET',
				body: form && new URLSearchParams(form),
				headers: { accept: 'text/html', cookie: this.#header(new URL(url).pathname) },
				redirect: 'manual',
			});
			response.headers.getSetCookie().forEach((line) => this.#keep(line));
			if (response.status < 300 || response.status >= 400) {
				return { url, status: response.status, headers: response.headers, text: await response.text() };
			}
			url = new URL(response.headers.get('location'), url).href;
			form = undefined;
		}
		throw new Error('redirected too often');
	}

	#header(path) {
		return [...this.#cookies.values()]
			.filter((cookie) => path.startsWith(cookie.path))
			.map(({ name, value }) => `${name}=${value}`)
			.join('; ');
	}

	#keep(line) {
		const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
		const path = /; ?path=([^;]*)/i.exec(line)?.[1] ?? '/';
		this.#cookies.set(`${name} ${path}`, { name, path, value });
	}
}
