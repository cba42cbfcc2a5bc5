"use strict";

// Search would need a worker made of a blob, which the page's policy does not let it have.
const options = { disableSearch: true, nativeScrollbars: true };
const target = document.getElementById("document");

// What is cut off in a sample can be scrolled to with the keys.
function reachSamples() {
	for (const sample of document.querySelectorAll("pre"))
		if (sample.scrollWidth > sample.clientWidth || sample.scrollHeight > sample.clientHeight)
			sample.tabIndex = 0;
}

new MutationObserver(reachSamples).observe(target, { childList: true, subtree: true });
window.addEventListener("resize", reachSamples);
window.Redoc.init("openapi.json", options, target);
