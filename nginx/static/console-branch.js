// The sheet of one branch: all that is known of it, and all that can be done with it.

import { ApiError, changeClient, deleteClient, isAbort, refreshToken, revokeToken } from "./console-api.js";
import { confirmFor } from "./console-confirm.js";
import { busy, button, byId, connectLink, element, toast } from "./console-dom.js";
import { openChange } from "./console-form.js";
import { appearance, stateMark } from "./console-row.js";
import { countdown, stamp } from "./console-time.js";
import { advice, needsConsent } from "./console-words.js";

const dialog = byId("branch-dialog");

/** Refreshes the token of a branch: { now, said }, the client as it is then and how it went; null: given up. */
export async function refreshNow(client, list) {
	let said = "Refreshed.";

	try {
		await refreshToken(client.client_id);
	} catch (error) {
		if (isAbort(error))
			return null;
		if (!(error instanceof ApiError))
			throw error;
		said = error.message;
	}
	return { now: await list.refreshOne(client.client_id), said };
}

export class Sheet {
	/** @param list the List whose rows follow what is done here. */
	constructor(list) {
		this.list = list;
		this.client = null;
		byId("branch-close").addEventListener("click", () => dialog.close());
		dialog.addEventListener("close", () => {
			this.client = null;
			this.connect = null;
			byId("branch-said").textContent = "";
			byId("branch-facts").replaceChildren();
			byId("branch-actions").replaceChildren();
			// Where it was opened from may be gone.
			if (document.activeElement === document.body || dialog.contains(document.activeElement))
				byId("branches-title").focus();
		});
	}

	open(client) {
		byId("branch-said").textContent = "";
		this.shown = null;
		this.#show(client);
		dialog.showModal();
		byId("branch-title").focus();
	}

	/** What has changed meanwhile, also in another tab. */
	async refresh() {
		const { client } = this;

		if (!client)
			return;
		const { now, isGone, error } = await this.list.lookAt(client.client_id);
		if (this.client?.client_id !== client.client_id)
			return;
		if (isGone) {
			dialog.close();
			toast(`${client.branch_identifier} was deleted meanwhile.`);
		} else if (error) {
			this.#say(`This is not up to date. ${error.message}`);
			this.isBehind = true;
		} else if (now) {
			this.#follow(client, now);
			if (this.isBehind)
				this.#say("");
		}
	}

	tick() {
		if (!this.client)
			return;
		const { expires_at } = this.client.token;
		byId("branch-advice").textContent = advice(this.client);
		if (this.left)
			this.left.textContent = countdown(expires_at);
	}

	/** Shows the client as it is now, unless the sheet is another's by this time. */
	#follow(client, now) {
		if (!now || this.client?.client_id !== client.client_id)
			return;
		this.#show(now);
	}

	#say(text) {
		this.isBehind = false;
		byId("branch-said").textContent = text;
	}

	#show(client) {
		const shown = appearance(client);

		this.client = client;
		if (shown === this.shown) {
			if (this.connect)
				this.connect.href = client.login_url;
			return;
		}
		this.shown = shown;
		byId("branch-title").textContent = client.branch_identifier;
		byId("branch-state").replaceChildren(...stateMark(client));
		this.#showFacts(client);
		this.#showActions(client);
		this.tick();
	}

	#showFacts(client) {
		const { token } = client;
		const facts = [
			["Workspace", client.workspace_name ?? "–"],
			["E-mail", client.email],
			["Client id", client.client_oauth_id],
			["Redirect URI", client.redirect_uri],
			["Registered", stamp(client.created_at)],
		];

		this.left = null;
		if (token.last_refreshed_at)
			facts.unshift(["Last refreshed", stamp(token.last_refreshed_at)]);
		if (token.expires_at && !needsConsent(client)) {
			this.left = element("span", { class: "left" });
			facts.unshift(["Expires", element("span", {}, this.left, " · ", stamp(token.expires_at))]);
		}
		if (token.refresh_error)
			facts.unshift(["Last error", element("code", {}, [token.refresh_error, token.provider_error].filter(Boolean).join(" / "))]);
		byId("branch-facts").replaceChildren(...facts.flatMap(([name, value]) =>
			[element("dt", {}, name), element("dd", {}, value)]));
	}

	#showActions(client) {
		const focused = document.activeElement?.dataset?.action;
		const consent = needsConsent(client);
		const make = (action, text, className, work) =>
			button(text, { class: className, "data-action": action }, (event) => busy(event.currentTarget, work));
		const actions = [];

		this.connect = null;
		if (client.is_active && client.login_url) {
			this.connect = connectLink(client, { class: consent ? "button main" : "button", "data-action": "connect" });
			if (!consent)
				this.connect.textContent = "Connect again";
			actions.push(this.connect, make("copy", "Copy login link", "", () => this.#copy(this.client)));
		}
		if (client.is_active && !consent)
			actions.unshift(make("refresh", "Refresh now", "main", () => this.#refreshNow(client)));
		const danger = [make("edit", "Edit", "", () => this.#edit(client)), make("switch", client.is_active ? "Deactivate" : "Activate", "", () => this.#switch(client))];
		if (!consent)
			danger.push(make("revoke", "Revoke", "bad", () => this.#revoke(client)));
		danger.push(make("delete", "Delete", "bad", () => this.#delete(client)));
		byId("branch-actions").replaceChildren(...actions);
		byId("branch-danger").replaceChildren(...danger);
		if (focused)
			(dialog.querySelector(`[data-action="${focused}"]`) ?? byId("branch-title")).focus();
	}

	async #refreshNow(client) {
		const done = await refreshNow(client, this.list);

		if (!done)
			return;
		this.#follow(client, done.now);
		this.#say(done.said);
	}

	async #copy(client) {
		try {
			await navigator.clipboard.writeText(client.login_url);
			this.#say("The login link is in the clipboard.");
		} catch {
			// Without TLS, or forbidden by the person: to be copied by hand.
			const link = element("input", { readonly: true, value: client.login_url, "aria-label": "Login link" });
			byId("branch-said").replaceChildren("Copy this link: ", link);
			link.select();
		}
	}

	#edit(client) {
		openChange(client, (now) => {
			this.list.rows.get(now.client_id)?.update(now);
			this.#follow(client, now);
			this.#say("Saved.");
		});
	}

	async #switch(client) {
		try {
			const { success, ...now } = await changeClient(client.client_id, { is_active: !client.is_active });
			this.list.rows.get(now.client_id)?.update(now);
			this.#follow(client, now);
			this.#say(now.is_active ? "Activated." : "Deactivated.");
		} catch (error) {
			if (error instanceof ApiError)
				this.#say(error.message);
			else if (!isAbort(error))
				throw error;
		}
	}

	#revoke(client) {
		confirmFor(client.branch_identifier, {
			title: `Revoke the access of ${client.branch_identifier}?`,
			text: "Its token stops working, here and at the provider. To use the branch again somebody has to give consent again.",
			action: "Revoke",
			work: async () => {
				const { provider_revoked } = await revokeToken(client.branch_identifier);
				this.#follow(client, await this.list.refreshOne(client.client_id));
				this.#say(provider_revoked ? "Revoked, here and at the provider." : "Revoked here.");
			},
		});
	}

	#delete(client) {
		confirmFor(client.branch_identifier, {
			title: `Delete ${client.branch_identifier}?`,
			text: "The branch and its token are deleted, and its access is revoked at the provider. This cannot be undone.",
			action: "Delete this branch",
			typed: true,
			work: async () => {
				await deleteClient(client.client_id);
			},
			after: () => {
				const isShown = this.client?.client_id === client.client_id;

				this.list.forget(client.client_id);
				this.list.onChange();
				toast(`${client.branch_identifier} is deleted.`);
				if (!isShown)
					return;
				dialog.close();
				byId("branches-title").focus();
			},
		});
	}
}
