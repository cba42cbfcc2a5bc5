// In front of oidc-provider's token and revocation endpoints: reads the form, keeps the log, applies faults.

import { parse } from 'node:querystring';

const ENDPOINT_OF_PATH = { '/token': 'token', '/token/revocation': 'revocation' };
const FORM_LIMIT = 64 * 1024;

async function readBody(req) {
	const chunks = [];
	let size = 0;
	for await (const chunk of req) {
		size += chunk.length;
		if (size > FORM_LIMIT) return undefined;
		chunks.push(chunk);
	}
	return Buffer.concat(chunks).toString();
}

/** The posted form; a repeated field is an array, which matches no fault and which oidc-provider refuses. */
export async function readForm(ctx) {
	const text = await readBody(ctx.req);
	if (text === undefined) ctx.throw(413);
	const form = ctx.is('application/x-www-form-urlencoded') ? parse(text) : {};
	ctx.req.body = form; // oidc-provider takes it from here, the stream is spent
	return form;
}

/*
 * Google revokes for whoever holds the token; oidc-provider wants the client too, as RFC 7009 does.
 * Both are accepted: a request without client authentication gets that of the token's own client.
 */
async function authenticateRevocation(ctx, form, { provider, store }) {
	if (form.client_id || ctx.get('authorization')) return true;
	const token =
		(await provider.RefreshToken.find(form.token)) ?? (await provider.AccessToken.find(form.token));
	const client = token && (await store.model('Client').find(token.clientId));
	if (!client) {
		ctx.status = 400;
		ctx.body = { error: 'invalid_token', error_description: 'Token expired or revoked' };
		return false;
	}
	ctx.req.body = { ...form, client_id: client.client_id, client_secret: client.client_secret };
	return true;
}

// The library repeats a refresh token that it has not rotated; Google leaves it out.
function leaveOutOldRefreshToken(ctx, form) {
	if (ctx.body?.refresh_token === undefined || ctx.body.refresh_token !== form.refresh_token) return;
	const { refresh_token: old, ...rest } = ctx.body;
	ctx.body = rest;
}

// Asked for by their short names, these are answered in full, as by Google.
const FULL_NAMES = {
	email: 'https://www.googleapis.com/auth/userinfo.email',
	profile: 'https://www.googleapis.com/auth/userinfo.profile',
};

function nameScopesInFull(ctx) {
	if (typeof ctx.body?.scope !== 'string') return;
	const scope = ctx.body.scope.split(' ').map((name) => FULL_NAMES[name] ?? name).join(' ');
	ctx.body = { ...ctx.body, scope };
}

function note(entry, log, ctx) {
	const { error, access_token, expires_in, refresh_token } = ctx.body ?? {};
	entry.result = ctx.status < 400 ? 'ok' : (error ?? `http_${ctx.status}`);
	entry.access_token = access_token ?? null;
	entry.new_refresh_token = refresh_token ?? null;
	entry.issued_at = access_token ? Date.now() : null;
	entry.expires_in = expires_in ?? null;
	log.outcome(entry, entry.result);
}

/** The answer as the peer is about to see it. */
function noteAnswer(entry, ctx) {
	if (ctx.respond === false) {
		entry.status = ctx.res.headersSent ? ctx.res.statusCode : null;
		return;
	}
	entry.status = ctx.status;
	entry.error = ctx.body?.error ?? null;
}

export function observedEndpoints(world) {
	const { log, faults } = world;
	return async (ctx, next) => {
		const endpoint = ENDPOINT_OF_PATH[ctx.path];
		if (!endpoint) return next();

		const closed = new Promise((resolve) => ctx.res.once('close', resolve));
		const form = await readForm(ctx);
		const entry = log.begin(endpoint, form, ctx.req.socket.remotePort);
		const fault = faults.take(endpoint, form);
		if (fault) log.fault(entry, fault.kind);

		const process = async () => {
			if (endpoint === 'token' || (await authenticateRevocation(ctx, form, world))) await next();
			leaveOutOldRefreshToken(ctx, form);
			nameScopesInFull(ctx);
			note(entry, log, ctx);
		};
		try {
			await faults.apply(ctx, fault, process);
			if (entry.result === null) log.outcome(entry, `fault:${fault.kind}`);
			noteAnswer(entry, ctx);
		} finally {
			// Not awaited: koa sends the answer only after this middleware has returned.
			closed.then(() => {
				entry.aborted = !ctx.res.writableFinished;
				log.end(entry);
			});
		}
	};
}
