"use strict";

// What Swagger UI shows without a name, or with another than what is to be read there.
const NAMES = {
	"#servers": () => "Server",
	".body-param__text": () => "Request body",
	".close-modal": () => "Close",
	".examples-select-element": () => "Example",
	".json-schema-2020-12-accordion": (it) => it.textContent.trim() || "Details",
	".modal-btn": (it) => it.textContent,
	// A row is there before its parameter is; the text before the mark of what is required.
	".parameters-col_description :is(input, select, textarea)": (it) =>
		it.closest("tr").querySelector(".parameter__name")?.firstChild?.textContent ?? "",
};

function nameControls() {
	for (const [selector, nameOf] of Object.entries(NAMES))
		for (const it of document.querySelectorAll(selector))
			if ((it.getAttribute("aria-label") ?? "") !== nameOf(it))
				it.setAttribute("aria-label", nameOf(it));
}

// The path of a call is a link inside the button that opens it: one control is enough, and opening it writes
// the same address.
const PathWithoutLink = (_, { React }) => ({ text }) => React.createElement("span", {}, text);

new MutationObserver(nameControls).observe(document.getElementById("document"), { childList: true, subtree: true });

// The key that is given under "Authorize" stays in this page's memory.
window.SwaggerUIBundle({
	url: "openapi.json",
	dom_id: "#document",
	deepLinking: true,
	displayRequestDuration: true,
	persistAuthorization: false,
	plugins: [{ wrapComponents: { DeepLink: PathWithoutLink } }],
	syntaxHighlight: { theme: "tomorrow-night" },
	validatorUrl: null, // would send the document's address away
});
