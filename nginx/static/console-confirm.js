// "Are you sure?", with the name of the branch.

import { Dialog } from "./console-dialog.js";
import { byId, tell } from "./console-dom.js";

const dialog = new Dialog(byId("confirm-dialog"), byId("confirm-go"));
const name = byId("confirm-name");

/**
 * Opens the dialog; work() runs once it is confirmed, and its failure is told there; after() when the dialog is gone.
 * @param typed the branch has to be typed.
 */
export function confirmFor(branch, { title, text, action, typed = false, work, after = () => {} }) {
	byId("confirm-title").textContent = title;
	byId("confirm-text").textContent = text;
	byId("confirm-wanted").textContent = branch;
	byId("confirm-typing").hidden = !typed;
	byId("confirm-go").textContent = action;
	tell(byId("confirm-trouble"), "");
	name.value = "";
	name.removeAttribute("aria-invalid");
	dialog.open({ branch, typed, work, after });
	(typed ? name : byId("confirm-cancel")).focus();
}

function go() {
	const { branch, typed, work, after } = dialog.asked;

	if (dialog.isUnderWay)
		return;
	if (typed && name.value !== branch) {
		name.setAttribute("aria-invalid", "true");
		tell(byId("confirm-trouble"), "That is not the name of this branch.");
		name.focus();
		return;
	}
	tell(byId("confirm-trouble"), "");
	dialog.run(branch, async () => {
		await work();
		return after;
	}, (error) => tell(byId("confirm-trouble"), error.message));
}

byId("confirm-form").addEventListener("submit", (event) => {
	event.preventDefault();
	go();
});
byId("confirm-cancel").addEventListener("click", () => dialog.element.close());
