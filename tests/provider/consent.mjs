// The one page that a person sees: who are you, and may this client have access?

import { createHash } from 'node:crypto';
import { readForm } from './endpoints.mjs';

const DEFAULT_LOGIN = 'person@example.test';
const IDENTITY_SCOPES = ['openid', 'email', 'profile'];

const MEANING = {
	openid: 'Know who you are',
	email: 'See your e-mail address',
	profile: 'See your name',
	'https://www.googleapis.com/auth/business.manage': 'See, edit, create and delete your business listings',
};

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2630; --soft: #586472; --line: #d5dbe2; --page: #eef1f5;
  --card: #fff; --main: #14539a; --on-main: #fff; --note: #fff6dc; --note-line: #d9a514; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --soft: #a7b1bd; --line: #3a444f;
  --page: #14181d; --card: #1d232a; --main: #8fc0f7; --on-main: #0d2238; --note: #3a300f; --note-line: #d9a514; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 2rem 1rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, "Liberation Sans", sans-serif; }
main { max-width: 33rem; margin: 0 auto; padding: 1.75rem 2rem 2rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 12px; }
h1 { margin: 1.25rem 0 .5rem; font-size: 1.5rem; line-height: 1.25; }
h2 { margin: 1.5rem 0 .5rem; font-size: 1rem; }
p { margin: .5rem 0; }
.note { margin: 0; padding: .75rem 1rem; background: var(--note); border-left: 4px solid var(--note-line); border-radius: 4px; }
code { font-family: ui-monospace, "Liberation Mono", monospace; font-size: .9em; overflow-wrap: anywhere; }
ul { margin: 0; padding: 0; list-style: none; border: 1px solid var(--line); border-radius: 8px; }
li { padding: .6rem 1rem; }
li + li { border-top: 1px solid var(--line); }
li code { display: block; color: var(--soft); }
label { display: block; margin: 1.5rem 0 .25rem; font-weight: 600; }
input { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--soft); border-radius: 8px; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.5rem; }
button { padding: .65rem 1.25rem; font: inherit; font-weight: 600; cursor: pointer; border-radius: 8px;
  border: 1px solid var(--main); color: var(--main); background: transparent; }
button.main { color: var(--on-main); background: var(--main); }
:focus-visible { outline: 3px solid var(--note-line); outline-offset: 2px; }
`;

// No form-action: browsers apply it to the redirects after the form too, and those lead to the client.
const POLICY = [
	"default-src 'none'",
	`style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
	"base-uri 'none'",
	"frame-ancestors 'none'",
].join('; ');

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => String(text).replace(/[&<>"']/g, (character) => ENTITIES[character]);

function showPage(ctx, title, content) {
	ctx.set({
		'cache-control': 'no-store',
		'content-security-policy': POLICY,
		'referrer-policy': 'no-referrer',
		'x-content-type-options': 'nosniff',
	});
	ctx.type = 'html';
	ctx.body = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} – stand-in provider</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="note"><strong>Local stand-in for Google.</strong> This page runs on your own machine for trying out and testing. No Google account is involved.</p>
<h1>${escape(title)}</h1>
${content}
</main>
</body>
</html>
`;
}

export function showError(ctx, error, description) {
	const explanation = description ? `<p>${escape(description)}</p>` : '';
	showPage(ctx, 'This request cannot go on', `<p>Error: <code id="error">${escape(error)}</code></p>${explanation}`);
}

function showConsent(ctx, { client_id: clientId, login_hint: hint, redirect_uri: redirectUri, scope = '' }) {
	const scopes = scope.split(' ').filter(Boolean);
	const items = scopes.map((name) => `<li>${escape(MEANING[name] ?? 'Access')} <code>${escape(name)}</code></li>`);
	showPage(
		ctx,
		'Allow access?',
		`<p>The client <code id="client-id">${escape(clientId)}</code> asks for access. Your answer goes to <code>${escape(new URL(redirectUri).origin)}</code>.</p>
<h2 id="scopes-title">It wants to</h2>
<ul id="scopes" aria-labelledby="scopes-title">${items.join('')}</ul>
<form method="post" action="${escape(ctx.path)}">
<label for="login">Account (any e-mail address will do)</label>
<input id="login" name="login" type="email" required maxlength="255" autocomplete="off" value="${escape(hint ?? DEFAULT_LOGIN)}">
<div class="buttons">
<button class="main" id="allow" name="action" value="allow">Allow</button>
<button id="deny" name="action" value="deny" formnovalidate>Deny</button>
<button id="allow-less" name="action" value="allow-less">Allow, without the requested access</button>
</div>
</form>`,
	);
}

/** Stores the person's consent to @granted of what was asked; the id of the new grant. */
async function saveGrant({ provider, offlineGrants }, params, login, granted) {
	const grant = new provider.Grant({ accountId: login, clientId: params.client_id });
	const refused = params.scope.split(' ').filter((name) => !granted.includes(name));
	grant.addOIDCScope(granted.join(' '));
	if (refused.length > 0) grant.rejectOIDCScope(refused.join(' '));
	const id = await grant.save();
	if (params.access_type === 'offline') offlineGrants.add(id);
	return id;
}

async function decide(ctx, world, interaction) {
	const { action, login } = await readForm(ctx);
	const { params } = interaction;
	if (action === 'deny') return { error: 'access_denied' };
	if (action !== 'allow' && action !== 'allow-less') ctx.throw(400, 'action: allow, allow-less or deny');
	const accountId = login || params.login_hint || DEFAULT_LOGIN;
	if (typeof accountId !== 'string') ctx.throw(400, 'login: once');

	let granted = params.scope.split(' ').filter(Boolean);
	if (action === 'allow-less') {
		granted = granted.filter((name) => IDENTITY_SCOPES.includes(name));
		if (granted.length === 0) {
			// A grant of nothing is a refusal to the library; Google's always tells at least who it was.
			granted = ['openid'];
			params.scope += ' openid';
			await interaction.persist();
		}
	}
	return { login: { accountId }, consent: { grantId: await saveGrant(world, params, accountId, granted) } };
}

/** GET shows the page, POST takes the answer and sends the browser on its way back to the client. */
export function interactionPage(world) {
	return async (ctx, next) => {
		if (!ctx.path.startsWith('/interaction/')) return next();
		const { provider } = world;
		try {
			const interaction = await provider.interactionDetails(ctx.req, ctx.res);
			if (ctx.method === 'POST') {
				const result = await decide(ctx, world, interaction);
				ctx.status = 303;
				ctx.set('location', await provider.interactionResult(ctx.req, ctx.res, result));
				ctx.body = '';
			} else {
				showConsent(ctx, interaction.params);
			}
		} catch (error) {
			if (!error.expose) throw error;
			ctx.status = error.statusCode ?? 400;
			showError(ctx, error.error ?? 'invalid_request', error.error_description ?? error.message);
		}
		return undefined;
	};
}
