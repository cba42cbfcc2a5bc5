"use strict";

// The key that is given under "Authorize" stays in this page's memory.
window.SwaggerUIBundle({
	url: "openapi.json",
	dom_id: "#document",
	deepLinking: true,
	displayRequestDuration: true,
	persistAuthorization: false,
	validatorUrl: null, // would send the document's address away
});
