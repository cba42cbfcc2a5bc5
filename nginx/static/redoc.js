"use strict";

// Search would need a worker made of a blob, which the page's policy does not let it have.
const options = { disableSearch: true, nativeScrollbars: true };

window.Redoc.init("openapi.json", options, document.getElementById("document"));
