// The console: signing in, the list of branches, and keeping it up to date.

import { ApiError, dropCalls, isAbort, listClients, listenForRefusal } from "./console-api.js";
import { Sheet, refreshNow } from "./console-branch.js";
import { busy, byId, element, tell, toast } from "./console-dom.js";
import { openRegistration } from "./console-form.js";
import { List } from "./console-list.js";
import { storeKey, storedKey } from "./console-session.js";
import { STATES, needsConsent } from "./console-words.js";

const POLL_MS = 5000;
const POLL_IN_TROUBLE_MS = 60_000;
const SEARCH_DELAY_MS = 250; // after the last key
const LOAD_AHEAD = "800px"; // before the end of what is loaded comes into sight

let isSignedIn = false;
let polledAt_ms = 0;
let isPolling = false;
let searchTimer = 0;
let invitation = null; // to connect what was just registered: { id, takeBack }

const list = new List(byId("table"), {
	manage: (client) => sheet.open(client),
	refresh: (client, row) => busy(row.action, async () => {
		const done = await refreshNow(client, list);
		if (done)
			toast(`${client.branch_identifier}: ${done.said}`);
	}),
}, showList);
const sheet = new Sheet(list);
const ahead = new IntersectionObserver(([entry]) => {
	if (entry.isIntersecting && !list.error)
		list.loadMore();
}, { rootMargin: LOAD_AHEAD });

// --- the list -----------------------------------------------------------------------------------

function summary() {
	if (list.error && list.size === 0)
		return "";
	if (list.loading && list.size === 0)
		return "Loading branches…";
	if (list.size === 0)
		return "";
	return `${list.size} ${list.size === 1 ? "branch" : "branches"}${list.isComplete ? "" : " so far; more as you scroll"}`;
}

function setText(target, text) {
	if (target.textContent !== text)
		target.textContent = text;
}

/** Before it is hidden: the focus must not go with it. */
function leave(id) {
	if (byId(id).contains(document.activeElement))
		byId("branches-title").focus({ preventScroll: true });
}

function showList() {
	const isEmpty = list.size === 0 && list.isComplete && !list.error;
	const isFiltered = Boolean(list.filter.q || list.filter.state);

	setText(byId("summary"), summary());
	setText(byId("trouble-text"), list.error
		? `${list.size > 0 ? "This list is not up to date. " : "The branches cannot be shown. "}${list.error.message}` : "");
	if (!list.error)
		leave("trouble");
	byId("trouble").hidden = !list.error;
	byId("none-yet").hidden = !isEmpty || isFiltered;
	byId("none-found").hidden = !isEmpty || !isFiltered;
	byId("table").hidden = list.size === 0;
	if (list.isComplete)
		leave("more");
	byId("more").hidden = list.size === 0 || list.isComplete;
	byId("load-more").textContent = list.loading ? "Loading…" : "Load more";
	// Looks again, for the page may not have filled the window.
	ahead.unobserve(byId("more"));
	if (!list.loading)
		ahead.observe(byId("more"));
	endInvitation();
}

/** Nobody is asked to connect a branch that is connected. */
function endInvitation() {
	const invited = list.rows.get(invitation?.id);

	if (!invited || needsConsent(invited.client))
		return;
	invitation.takeBack();
	invitation = null;
}

function showFiltered() {
	clearTimeout(searchTimer);
	list.show({ q: byId("search").value.trim(), state: byId("state").value });
}

function showAll() {
	byId("filters").reset();
	showFiltered();
	byId("search").focus();
}

async function onRegistered(client) {
	const row = list.putOnTop({ ...client, is_active: true, token: { state: "none" } });

	invitation = { id: client.client_id, takeBack: toast(`${client.branch_identifier} is registered. Connect it now.`) };
	(row.action ?? row.name).focus();
	await list.refreshOne(client.client_id);
}

/** @param isDue the person has just come back: what they did elsewhere is to be seen. */
async function poll(isDue) {
	const pause_ms = list.error ? POLL_IN_TROUBLE_MS : POLL_MS;

	if (!isSignedIn || isPolling || document.hidden || (!isDue && Date.now() - polledAt_ms < pause_ms))
		return;
	isPolling = true;
	try {
		await Promise.all([list.refreshSeen(), sheet.refresh()]);
	} finally {
		isPolling = false;
		polledAt_ms = Date.now();
	}
}

// --- signing in and out -------------------------------------------------------------------------

function forget() {
	isSignedIn = false;
	dropCalls();
	storeKey(null);
	list.clear();
	for (const dialog of document.querySelectorAll("dialog[open]"))
		dialog.close();
	byId("filters").reset();
	byId("toast").textContent = "";
}

function showSignIn(reason) {
	forget();
	byId("branches").hidden = true;
	byId("sign-out").hidden = true;
	byId("sign-in").hidden = false;
	byId("key").value = "";
	tell(byId("sign-in-reason"), reason);
	byId("key").focus();
}

function showBranches() {
	isSignedIn = true;
	polledAt_ms = Date.now();
	byId("sign-in").hidden = true;
	byId("sign-out").hidden = storedKey() === null;
	byId("branches").hidden = false;
	return list.show({ q: "", state: "" });
}

/** Is what was given any good? Refusals come by listenForRefusal(). */
async function signIn() {
	const key = byId("key").value.trim();

	tell(byId("sign-in-reason"), "");
	if (!/^[!-~]+$/.test(key)) {
		tell(byId("sign-in-reason"), key ? "This is no API key: it has characters that keys do not have." : "Enter an admin key.");
		byId("key").focus();
		return;
	}
	storeKey(key);
	try {
		await listClients({ limit: 1 });
	} catch (error) {
		storeKey(null);
		if (error instanceof ApiError && !error.isRefusal)
			tell(byId("sign-in-reason"), error.message);
		else if (!(error instanceof ApiError) && !isAbort(error))
			throw error;
		return;
	}
	byId("key").value = "";
	await showBranches();
	byId("branches-title").focus();
}

function reasonOf(error) {
	if (storedKey() === null && error.code === "unauthenticated")
		return "";
	return error.code === "forbidden"
		? "This key, or this network, may not administer branches. Use an admin key."
		: "This key is not known, has expired or was revoked. Use another one.";
}

listenForRefusal((error) => showSignIn(reasonOf(error)));

// --- wiring -------------------------------------------------------------------------------------

for (const [value, text] of [["", "All states"], ...Object.entries(STATES)])
	byId("state").append(element("option", { value }, text));

byId("sign-in-form").addEventListener("submit", (event) => {
	event.preventDefault();
	busy(event.submitter ?? event.target, signIn);
});
byId("sign-out").addEventListener("click", () => showSignIn(""));
byId("filters").addEventListener("submit", (event) => {
	event.preventDefault();
	showFiltered();
});
byId("search").addEventListener("input", () => {
	clearTimeout(searchTimer);
	searchTimer = setTimeout(showFiltered, SEARCH_DELAY_MS);
});
byId("state").addEventListener("change", showFiltered);
byId("show-all").addEventListener("click", showAll);
byId("load-more").addEventListener("click", () => list.loadMore());
byId("retry").addEventListener("click", () => busy(byId("retry"), () => list.retry()));
byId("register").addEventListener("click", () => openRegistration(onRegistered));
window.addEventListener("focus", () => poll(true));
document.addEventListener("visibilitychange", () => poll(true));
setInterval(() => {
	list.tick();
	sheet.tick();
	poll(false);
}, 1000);

showBranches();
