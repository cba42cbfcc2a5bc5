// The form that registers a branch, and the one that changes it. What is right is for the service to
// say: its messages stand at the fields, and nothing that was typed is lost.

import { changeClient, registerClient } from "./console-api.js";
import { Dialog } from "./console-dialog.js";
import { byId, element, tell } from "./console-dom.js";

const FIELDS = [
	{ name: "branch_id", label: "Branch", hint: "The name that programs ask for its token by." },
	{ name: "workspace_name", label: "Workspace name", hint: "Optional; for people." },
	{ name: "workspace_email", label: "Workspace e-mail", hint: "Of the account that will give consent.", type: "email", wide: true },
	{ name: "client_id", label: "Client id", hint: "Of the OAuth client in the Google Cloud console." },
	{ name: "client_secret", label: "Client secret", hint: "It is never shown again.", type: "password" },
	{ name: "redirect_uri", label: "Redirect URI", hint: "As it is registered with the OAuth client.", type: "url", wide: true },
];
const CHANGEABLE = ["workspace_name", "workspace_email", "client_secret", "redirect_uri"];
// Refusals that are about one field.
const FIELD_OF = { branch_exists: "branch_id" };

const dialog = new Dialog(byId("form-dialog"), byId("form-submit"));
const form = byId("client-form");

function field({ name, label, hint, type = "text", wide = false }, value) {
	const id = `field-${name}`;
	const input = element("input", {
		id, name, type, value, autocomplete: type === "password" ? "new-password" : "off", spellcheck: "false",
		autocapitalize: "off", "aria-describedby": `${id}-fault ${id}-hint`,
	});

	return element("div", { class: wide ? "field wide" : "field" }, element("label", { for: id }, label), input,
		element("p", { class: "fault", id: `${id}-fault`, hidden: true }),
		element("p", { class: "hint", id: `${id}-hint` }, hint));
}

function clearFaults() {
	tell(byId("form-trouble"), "");
	for (const input of form.querySelectorAll("input")) {
		input.removeAttribute("aria-invalid");
		tell(byId(`${input.id}-fault`), "");
	}
}

/** Each message at its field, the rest above; the first field that is wrong gets the focus. */
function showFaults(error) {
	const name = FIELD_OF[error.code];
	const faults = name ? [{ field: name, message: error.message }] : error.faults;
	const wrong = [];

	for (const { field: of, message } of faults) {
		const input = form.elements.namedItem(of);
		if (!input)
			continue;
		input.setAttribute("aria-invalid", "true");
		tell(byId(`${input.id}-fault`), message);
		wrong.push(input);
	}
	const all = [...form.querySelectorAll("input")];
	const first = all.find((input) => wrong.includes(input));
	tell(byId("form-trouble"), first ? (wrong.length === 1 ? "One field is wrong." : `${wrong.length} fields are wrong.`) : error.message);
	(first ?? byId("form-submit")).focus();
}

function onSubmit() {
	const { title, submit } = dialog.asked;

	dialog.run(title, () => {
		clearFaults();
		return submit(Object.fromEntries(new FormData(form)));
	}, showFaults);
}

/** @param submit gets the fields, and resolves with what to do once the dialog is gone. */
function open(title, action, fields, values, submit) {
	byId("form-title").textContent = title;
	byId("form-submit").textContent = action;
	byId("form-fields").replaceChildren(...fields.map((each) => field(each, values[each.name] ?? "")));
	clearFaults();
	dialog.open({ title, submit });
	form.querySelector("input").focus();
}

/** @param onDone gets the new client. */
export function openRegistration(onDone) {
	const redirect_uri = new URL("auth/callback", document.baseURI).href;

	open("Register a branch", "Register", FIELDS, { redirect_uri }, async (fields) => {
		const { success, message, ...client } = await registerClient({ ...fields, workspace_name: fields.workspace_name || null });
		return () => onDone(client);
	});
}

/** @param onDone gets the client as it is after the change. */
export function openChange(client, onDone) {
	const before = {
		workspace_name: client.workspace_name ?? "", workspace_email: client.email, client_secret: "",
		redirect_uri: client.redirect_uri,
	};
	const fields = FIELDS.filter(({ name }) => CHANGEABLE.includes(name)).map((each) =>
		each.name === "client_secret" ? { ...each, hint: "Leave it empty to keep the present one." } : { ...each, wide: true });

	open(`Edit ${client.branch_identifier}`, "Save", fields, before, async (now) => {
		const changed = Object.fromEntries(Object.entries(now).filter(([name, value]) => value !== before[name]));
		if (changed.workspace_name === "")
			changed.workspace_name = null;
		const { success, ...after } = Object.keys(changed).length > 0
			? await changeClient(client.client_id, changed) : client;
		return () => onDone(after);
	});
}

form.addEventListener("submit", (event) => {
	event.preventDefault();
	onSubmit();
});
byId("form-cancel").addEventListener("click", () => dialog.element.close());
// A secret does not stay in the page.
dialog.element.addEventListener("close", () => byId("form-fields").replaceChildren());
