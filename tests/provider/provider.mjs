// oidc-provider, configured to behave as Google's OAuth does where this service can tell the difference.

import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';
import { interactionPage, showError } from './consent.mjs';
import { observedEndpoints } from './endpoints.mjs';

export const BUSINESS_SCOPE = 'https://www.googleapis.com/auth/business.manage';
export const SCOPES = ['openid', 'email', 'profile', BUSINESS_SCOPE];

const HOUR = 3600;
const DAY = 24 * HOUR;
const COOKIE_PREFIX = 'stand_in'; // cookies know no ports: keep clear of the service's own on the same host

export const defaultSettings = () => ({
	access_token_ttl: HOUR, // seconds, for tokens issued from now on
	email_claim: true, // false: the ID token does not name the e-mail address
	email_verified: true, // what the ID token says of it
	issue_refresh_token: true, // false: none, even with access_type=offline
	revoke_person: true, // the revocation endpoint ends all grants of that person to that client
	rotate: false, // every refresh gives a new refresh token and uses up the old one
});

export function addClient(store, { client_id, client_secret }) {
	return store.model('Client').upsert(client_id, {
		client_id,
		client_secret,
		grant_types: ['authorization_code', 'refresh_token'],
		id_token_signed_response_alg: 'ES256',
		redirect_uris: ['http://localhost/auth/callback'], // the library wants one; see redirectUriAllowed
		response_types: ['code'],
		token_endpoint_auth_method: 'client_secret_post',
	});
}

/** Ends grant @grantId: nothing that was issued under it works any more. */
export async function endGrant(provider, grantId) {
	const models = [provider.AccessToken, provider.AuthorizationCode, provider.RefreshToken];
	await Promise.all(models.map((model) => model.revokeByGrantId(grantId)));
	await provider.Grant.adapter.destroy(grantId);
}

/** Ids of the live grants of @clientId, only those of @accountId when that is given. */
export function grantsOf(store, clientId, accountId) {
	return [...store.model('Grant').entries()]
		.filter(([, grant]) => grant.clientId === clientId)
		.filter(([, grant]) => accountId === undefined || grant.accountId === accountId)
		.map(([id]) => id);
}

function configuration({ offlineGrants, settings, store }) {
	const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
	return {
		adapter: (name) => store.model(name),
		allowOmittingSingleRegisteredRedirectUri: false,
		claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
		clientAuthMethods: ['client_secret_post'],
		clockTolerance: 0, // the library's 15 s would let expired tokens pass
		conformIdTokenClaims: false, // Google puts the e-mail address into the ID token
		cookies: {
			keys: [],
			names: {
				interaction: `${COOKIE_PREFIX}_interaction`,
				resume: `${COOKIE_PREFIX}_resume`,
				session: `${COOKIE_PREFIX}_session`,
			},
		},
		expiresWithSession: () => false,
		extraParams: ['access_type', 'include_granted_scopes'],
		features: {
			devInteractions: { enabled: false },
			dPoP: { enabled: false },
			pushedAuthorizationRequests: { enabled: false },
			resourceIndicators: { enabled: false },
			revocation: { enabled: true },
			rpInitiatedLogout: { enabled: false },
		},
		findAccount: (ctx, login) => ({
			accountId: login,
			claims: () => ({
				sub: login,
				...(settings.email_claim && { email: login }),
				email_verified: settings.email_verified,
				name: login.split('@')[0],
			}),
		}),
		// Google gives a refresh token for access_type=offline, not for a scope.
		issueRefreshToken: (ctx, client, source) =>
			settings.issue_refresh_token && offlineGrants.has(source.grantId),
		jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
		// Never an earlier grant of the session: each consent stands for itself, as with prompt=consent.
		loadExistingGrant: (ctx) => {
			const id = ctx.oidc.result?.consent?.grantId;
			return id && ctx.oidc.provider.Grant.find(id);
		},
		pkce: { required: () => true }, // S256 is the only method that the library knows
		renderError: (ctx, { error, error_description }) => showError(ctx, error, error_description),
		revokeGrantPolicy: () => true, // at Google, revoking an access token ends its refresh token too
		rotateRefreshToken: () => settings.rotate,
		scopes: SCOPES,
		ttl: {
			AccessToken: () => settings.access_token_ttl,
			AuthorizationCode: 60,
			Grant: 400 * DAY,
			IdToken: HOUR,
			Interaction: HOUR,
			RefreshToken: 180 * DAY,
			Session: HOUR,
		},
	};
}

// The stand-in remembers nobody: without its session cookie every authorization begins at the form.
function forgetSession(ctx, next) {
	const { cookie } = ctx.req.headers;
	if (cookie) {
		ctx.req.headers.cookie = cookie
			.split(/;\s*/)
			.filter((pair) => !pair.startsWith(`${COOKIE_PREFIX}_session`))
			.join('; ');
	}
	return next();
}

// The library leaves unknown scopes out silently; Google refuses them, on a page of its own.
function refuseUnknownScopes(ctx, next) {
	if (ctx.path !== '/auth') return next();
	const unknown = String(ctx.query.scope ?? '').split(' ').filter((scope) => scope && !SCOPES.includes(scope));
	if (unknown.length === 0) return next();
	ctx.status = 400;
	showError(ctx, 'invalid_scope', `Some requested scopes were invalid: ${unknown.join(' ')}`);
	return undefined;
}

/** @world: { faults, log, settings, store, offlineGrants }; gets its `provider` here. */
export function makeProvider(issuer, world) {
	const provider = new Provider(issuer, configuration(world));
	world.provider = provider;

	provider.Client.prototype.redirectUriAllowed = (uri) => URL.parse(uri)?.pathname.endsWith('/auth/callback') ?? false;

	provider.use(forgetSession);
	provider.use(refuseUnknownScopes);
	provider.use(interactionPage(world));
	provider.use(observedEndpoints(world));

	provider.on('grant.revoked', (ctx) => {
		if (ctx.oidc.route !== 'revocation' || !world.settings.revoke_person) return;
		const { accountId, clientId } = ctx.oidc.entities.RefreshToken ?? ctx.oidc.entities.AccessToken;
		for (const id of grantsOf(world.store, clientId, accountId)) endGrant(provider, id);
	});
	return provider;
}
