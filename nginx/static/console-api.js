// The calls to the service. Every failure is an ApiError, and every refusal of the key is told.

import { storedKey } from "./console-session.js";
import { setServerTime } from "./console-time.js";

// Longer than nginx waits for a call that goes to the provider, as long as GOOGLE_TIMEOUT_MS is below 15000.
const DEADLINE_MS = 40_000;

export class ApiError extends Error {
	/** @param status 0 when no answer came. @param faults [{ field, message }] of a validation. */
	constructor(status, code, message, faults = []) {
		super(message);
		this.status = status;
		this.code = code;
		this.faults = faults;
	}

	/** The key is missing, unknown, or not an admin's. */
	get isRefusal() {
		return this.code === "unauthenticated" || this.code === "forbidden";
	}
}

/** The caller has given the call up: not to be told to anybody. */
export function isAbort(error) {
	return error.name === "AbortError";
}

let session = new AbortController();
let onRefusal = () => {};

/** @param listener called with the ApiError of each call that the key does not suffice for. */
export function listenForRefusal(listener) {
	onRefusal = listener;
}

/** Gives up what is under way, as it was asked for with another key. */
export function dropCalls() {
	session.abort();
	session = new AbortController();
}

function errorOf(response, text) {
	try {
		const { error, message, detail } = JSON.parse(text);
		if (typeof message === "string")
			return new ApiError(response.status, error, message, Array.isArray(detail) ? detail : []);
	} catch {
		// Not of the service: a proxy's page.
	}
	return new ApiError(response.status, "unknown", `The service answered with status ${response.status}. Try again; its log may say more.`);
}

async function call(method, path, { query = {}, body, signal } = {}) {
	const url = new URL(path, document.baseURI);
	const headers = { Accept: "application/json" };
	const key = storedKey();
	for (const [name, value] of Object.entries(query))
		if (value)
			url.searchParams.set(name, value);
	if (key !== null)
		headers.Authorization = `Bearer ${key}`;
	if (body)
		headers["Content-Type"] = "application/json";
	const signals = [session.signal, AbortSignal.timeout(DEADLINE_MS), ...(signal ? [signal] : [])];
	let response, text;
	try {
		response = await fetch(url, {
			method, headers, body: body && JSON.stringify(body), signal: AbortSignal.any(signals),
			cache: "no-store", redirect: "error",
		});
		text = await response.text();
	} catch (error) {
		if (isAbort(error))
			throw error;
		throw new ApiError(0, "unreachable", "The service does not answer. Check the connection, then try again.");
	}
	setServerTime(response.headers.get("Date"));
	if (response.ok) {
		try {
			return text ? JSON.parse(text) : null;
		} catch {
			throw new ApiError(response.status, "unknown", "Something between this page and the service answered. Reload the page.");
		}
	}
	const error = errorOf(response, text);
	if (error.isRefusal)
		onRefusal(error);
	throw error;
}

/** { clients, next }: everything from after (not included) to next (included; null: to the end). */
export const listClients = ({ after, limit, q, state, signal }) =>
	call("GET", "clients", { query: { after, limit, q, state }, signal });
export const getClient = (id, signal) => call("GET", `clients/${id}`, { signal });
export const registerClient = (fields) => call("POST", "clients", { body: fields });
export const changeClient = (id, fields) => call("PATCH", `clients/${id}`, { body: fields });
export const deleteClient = (id) => call("DELETE", `clients/${id}`);
export const refreshToken = (id) => call("POST", "tokens/refresh", { body: { client_id: id } });
export const revokeToken = (branch) => call("POST", `tokens/${encodeURIComponent(branch)}/revoke`);
