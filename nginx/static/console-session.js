// The admin key: of this tab, never longer than it, and nowhere else.

const NAME = "token-service-key";
let memory = null; // where the browser keeps nothing for this page

export function storedKey() {
	try {
		return sessionStorage.getItem(NAME) ?? memory;
	} catch {
		return memory;
	}
}

/** null forgets it. */
export function storeKey(key) {
	memory = key;
	try {
		if (key === null)
			sessionStorage.removeItem(NAME);
		else
			sessionStorage.setItem(NAME, key);
	} catch {
		// The memory serves until the page is left.
	}
}
