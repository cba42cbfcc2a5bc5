// Times as a person reads them. What counts is the service's clock, not this computer's.

const STAMP = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

let ahead_ms = 0; // how far the service's clock is ahead of this one

/** @param date the Date header of an answer. */
export function setServerTime(date) {
	const now_ms = Date.parse(date);
	// The header has whole seconds: what is less than two apart is the same time.
	if (Number.isFinite(now_ms))
		ahead_ms = Math.abs(now_ms - Date.now()) < 2000 ? 0 : now_ms - Date.now();
}

/** 59 min 12 s: the two largest units. */
function duration(seconds) {
	const first = Math.max(0, UNITS.findIndex(([, size]) => seconds >= size));
	const parts = [];
	for (const [name, size] of UNITS.slice(first === 0 && seconds < 1 ? UNITS.length - 1 : first).slice(0, 2)) {
		parts.push(`${Math.floor(seconds / size)} ${name}`);
		seconds %= size;
	}
	return parts.join(" ");
}

/** "in 59 min 12 s", or "12 min 3 s ago". */
export function countdown(iso) {
	const left = Math.floor((Date.parse(iso) - Date.now() - ahead_ms) / 1000);
	return left >= 0 ? `in ${duration(left)}` : `${duration(-left)} ago`;
}

/** Date and time in the user's way; the UTC is in its datetime and title. */
export function stamp(iso) {
	const element = document.createElement("time");
	element.dateTime = iso;
	element.title = `${EXACT.format(new Date(iso))} (${iso})`;
	element.textContent = STAMP.format(new Date(iso));
	return element;
}
