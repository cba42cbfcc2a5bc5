// Small help with elements. Text of others goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** element("p", { class: "note", hidden: true }, "text", child) */
export function element(name, attributes = {}, ...children) {
	const made = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) {
		if (value === true)
			made.setAttribute(key, "");
		else if (value !== false && value !== null && value !== undefined)
			made.setAttribute(key, value);
	}
	made.append(...children);
	return made;
}

export function button(text, attributes, onClick) {
	const made = element("button", { type: "button", ...attributes }, text);
	made.addEventListener("click", onClick);
	return made;
}

/** Opens the consent in a tab of its own, which gets nothing of this one. */
export function connectLink(client, attributes = {}) {
	return element("a", { href: client.login_url, target: "_blank", rel: "noopener noreferrer", ...attributes }, "Connect");
}

/** Shows the text in an element that is hidden without one. */
export function tell(target, text) {
	target.textContent = text;
	target.hidden = !text;
}

/** Keeps a button from being pressed again while work goes on, without taking the focus from it. */
export async function busy(target, work) {
	if (target.getAttribute("aria-disabled") === "true")
		return;
	target.setAttribute("aria-disabled", "true");
	try {
		await work();
	} finally {
		target.removeAttribute("aria-disabled");
	}
}

const TOAST_MS = 8000;
let toastTimer = 0;

/** A short message to everybody, also where nothing is to be seen of it. What it returns takes it back before its time. */
export function toast(text) {
	const target = byId("toast");
	const takeBack = () => { target.textContent = ""; };
	clearTimeout(toastTimer);
	target.textContent = text;
	toastTimer = setTimeout(takeBack, TOAST_MS);
	const timer = toastTimer;
	return () => {
		if (timer === toastTimer)
			takeBack();
	};
}
