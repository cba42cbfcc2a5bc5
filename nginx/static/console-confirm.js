// "Are you sure?", with the name of the branch.

import { ApiError, isAbort } from "./console-api.js";
import { busy, byId, tell, toast } from "./console-dom.js";

const dialog = byId("confirm-dialog");
const name = byId("confirm-name");
let asked = null;

/**
 * Opens the dialog; work() runs once it is confirmed, and its failure is told there; after() when the dialog is gone.
 * @param typed the branch has to be typed.
 */
export function confirmFor(branch, { title, text, action, typed = false, work, after = () => {} }) {
	asked = { branch, typed, work, after };
	byId("confirm-title").textContent = title;
	byId("confirm-text").textContent = text;
	byId("confirm-wanted").textContent = branch;
	byId("confirm-typing").hidden = !typed;
	byId("confirm-go").textContent = action;
	tell(byId("confirm-trouble"), "");
	name.value = "";
	name.removeAttribute("aria-invalid");
	byId("confirm-go").removeAttribute("aria-disabled"); // of one that was closed while its work went on
	dialog.showModal();
	(typed ? name : byId("confirm-cancel")).focus();
}

async function go() {
	const mine = asked;
	const { branch, typed, work, after } = mine;

	if (mine.isUnderWay)
		return;
	if (typed && name.value !== branch) {
		name.setAttribute("aria-invalid", "true");
		tell(byId("confirm-trouble"), "That is not the name of this branch.");
		name.focus();
		return;
	}
	tell(byId("confirm-trouble"), "");
	mine.isUnderWay = true;
	try {
		await work();
		if (asked === mine)
			dialog.close();
		after();
	} catch (error) {
		mine.isUnderWay = false;
		if (isAbort(error))
			return;
		if (!(error instanceof ApiError))
			throw error;
		if (asked === mine)
			tell(byId("confirm-trouble"), error.message);
		else
			toast(`${branch}: ${error.message}`);
	}
}

byId("confirm-form").addEventListener("submit", (event) => {
	event.preventDefault();
	busy(byId("confirm-go"), go);
});
byId("confirm-cancel").addEventListener("click", () => dialog.close());
// What is under way goes on, but this dialog may be another branch's by its end.
dialog.addEventListener("close", () => { asked = null; });
