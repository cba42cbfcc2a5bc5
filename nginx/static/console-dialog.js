// A dialog that asks for one thing after another. What is under way goes on when it is closed, and is nothing to what
// is asked next.

import { ApiError, isAbort } from "./console-api.js";
import { toast } from "./console-dom.js";

export class Dialog {
	/** @param go the button that begins the work: not to be pressed again meanwhile, but it keeps the focus. */
	constructor(element, go) {
		this.element = element;
		this.go = go;
		this.asked = null; // what it is open for
		element.addEventListener("close", () => { this.asked = null; });
	}

	get isUnderWay() {
		return this.go.getAttribute("aria-disabled") === "true";
	}

	open(asked) {
		this.asked = asked;
		this.go.removeAttribute("aria-disabled");
		this.element.showModal();
	}

	/** work() resolves with what to do once the dialog is gone. tell(error) while it is open; else it is told under the name. */
	async run(name, work, tell) {
		const { asked } = this;

		if (this.isUnderWay)
			return;
		this.go.setAttribute("aria-disabled", "true");
		try {
			const after = await work();
			if (this.asked === asked)
				this.element.close();
			after();
		} catch (error) {
			if (isAbort(error))
				return;
			if (!(error instanceof ApiError))
				throw error;
			if (this.asked === asked)
				tell(error);
			else
				toast(`${name}: ${error.message}`);
		} finally {
			if (this.asked === asked)
				this.go.removeAttribute("aria-disabled");
		}
	}
}
