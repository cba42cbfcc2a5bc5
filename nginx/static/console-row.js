// One row of the table: made once, then brought up to date in place, so that nothing loses the focus.

import { button, connectLink, element } from "./console-dom.js";
import { countdown, stamp } from "./console-time.js";
import { STATES, advice, needsConsent } from "./console-words.js";

/** Colour and word. */
export function stateMark(client) {
	const { state } = client.token;
	const mark = element("span", { class: `state ${state}` }, STATES[state] ?? state);
	return client.is_active ? [mark] : [mark, element("span", { class: "state off" }, "Switched off")];
}

/** What there is to see of a client: its login link, where it has one, is another one in every answer. */
export function appearance(client) {
	return JSON.stringify({ ...client, login_url: Boolean(client.login_url) });
}

export class Row {
	/** @param actions { manage(client), refresh(client, row) } */
	constructor(client, actions) {
		const cell = (name, label) => element("td", { role: "cell", class: name, "data-label": label });

		this.actions = actions;
		this.name = button("", { class: "name" }, () => actions.manage(this.client));
		this.workspace = element("span", { class: "workspace" });
		this.state = cell("state-cell", "State");
		this.expiry = cell("expiry", "Expires");
		this.advice = cell("advice", "What to do");
		this.buttons = cell("actions", "Actions");
		this.element = element("tr", { role: "row", "data-id": client.client_id },
			element("th", { role: "rowheader", scope: "row" }, this.name, this.workspace),
			this.state, this.expiry, this.advice, this.buttons);
		this.update(client);
	}

	update(client) {
		const shown = appearance(client);

		this.client = client;
		if (shown === this.shown) {
			this.#renewLink();
			return;
		}
		this.shown = shown;
		this.name.textContent = client.branch_identifier;
		this.workspace.textContent = [client.workspace_name, client.email].filter(Boolean).join(" · ");
		this.state.replaceChildren(...stateMark(client));
		this.left = client.token.expires_at && !needsConsent(client) ? element("span", { class: "left" }) : null;
		if (this.left)
			this.expiry.replaceChildren(this.left, stamp(client.token.expires_at));
		else
			this.expiry.replaceChildren("–");
		this.#showAction();
		this.tick();
	}

	/** What passes with time: the countdown, and the next attempt in the advice. */
	tick() {
		const text = advice(this.client);

		if (this.left)
			this.left.textContent = countdown(this.client.token.expires_at);
		if (this.advice.textContent !== text)
			this.advice.textContent = text;
	}

	#renewLink() {
		if (this.kind === "connect" && this.action)
			this.action.href = this.client.login_url;
	}

	#showAction() {
		const { client } = this;
		const label = { "aria-label": "" };
		const kind = !client.is_active ? "none" : needsConsent(client) ? "connect" : "refresh";
		const hadFocus = this.buttons.contains(document.activeElement);

		if (kind === this.kind) {
			this.#renewLink();
			return;
		}
		this.kind = kind;
		this.action = null;
		if (kind === "connect" && client.login_url) {
			label["aria-label"] = `Connect ${client.branch_identifier}`;
			this.action = connectLink(client, { class: "button main", ...label });
		} else if (kind === "refresh") {
			label["aria-label"] = `Refresh now ${client.branch_identifier}`;
			this.action = button("Refresh now", label, () => this.actions.refresh(this.client, this));
		}
		this.more ??= button("Manage", { class: "quiet", "aria-label": `Manage ${client.branch_identifier}` },
			() => this.actions.manage(this.client));
		this.buttons.replaceChildren(...[this.action, this.more].filter(Boolean));
		if (hadFocus)
			(this.action ?? this.more).focus();
	}
}
