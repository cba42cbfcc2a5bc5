// What things are called, and what is to be done about them.

import { countdown } from "./console-time.js";

export const STATES = {
	none: "Not connected",
	valid: "Valid",
	expiring: "Expiring soon",
	expired: "Expired",
	reauthorization_required: "Consent needed",
	revoked: "Revoked",
};

const ERRORS = {
	client_credentials_rejected: "The provider refuses the client id or its secret. Enter the right secret under Edit.",
	insufficient_scope: "Less was allowed than this service needs. Connect it again and allow everything.",
	provider_error: "The provider answered something that is no token. If it lasts, look into the service's log.",
	provider_unavailable: "The provider cannot be reached or is failing. Nothing is lost.",
	secret_key_unknown: "It was stored under a key that this service does not have. Add that key to SECRET_KEY_PREVIOUS.",
	sealed_value_damaged: "What is stored does not open. Connect it again, or restore it from a backup.",
	sealed_value_malformed: "What is stored does not open. Connect it again, or restore it from a backup.",
};

/** May the branch have a token only after somebody has given consent? */
export function needsConsent(client) {
	return ["none", "revoked", "reauthorization_required"].includes(client.token.state);
}

/** What is wrong with the branch and what to do, in a sentence or two; "": nothing. */
export function advice({ is_active, token }) {
	if (!is_active)
		return "Switched off: no token is given out. Activate it to use it again.";
	if (token.state === "none")
		return "Connect it, or send its login link to the person who may.";
	if (token.state === "revoked")
		return "Its access was given up. Connect it again to use it.";
	if (token.state === "reauthorization_required")
		return `The provider no longer honours the consent${token.provider_error ? ` (${token.provider_error})` : ""}. Connect it again.`;
	if (token.refresh_error) {
		const text = ERRORS[token.refresh_error] ?? `The last refresh failed (${token.refresh_error}). The service's log says more.`;
		return token.retry_at ? `${text} Next attempt ${countdown(token.retry_at)}.` : text;
	}
	if (token.state === "expired")
		return "Refreshed when it is next asked for, or now.";
	return "";
}
