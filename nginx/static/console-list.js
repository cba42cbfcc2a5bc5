// The branches that are loaded, and their rows: page by page as they are scrolled to, and up to date
// where they are seen. The rows are in chunks, each a tbody, so that a browser has only few things to
// watch and passes over what is out of sight in large steps.

import { ApiError, getClient, isAbort, listClients } from "./console-api.js";
import { byId, element } from "./console-dom.js";
import { Row } from "./console-row.js";

const FIRST_PAGE = 100; // soon there
const PAGE = 400;
const CHUNK = 100;
const ROW_REM = 5; // about; until it has been seen
const LIMIT = 1000; // of the API

/** Where id belongs in sorted ids. */
function position(ids, id) {
	let low = 0, high = ids.length;

	while (low < high) {
		const middle = (low + high) >> 1;
		if (ids[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

export class List {
	/** @param table gets the chunks. @param actions those of a Row. @param onChange called when there is something else to say of the list. */
	constructor(table, actions, onChange) {
		this.table = table;
		this.actions = actions;
		this.onChange = onChange;
		this.chunks = [];
		this.seen = new Set(); // chunks in sight
		this.observer = new IntersectionObserver((entries) => this.#sight(entries), { rootMargin: "100px" });
		this.filter = { q: "", state: "" };
		this.deleted = new Set(); // here: an answer that was under way may still have them
		this.clear();
	}

	/** Forgets everything, and what is under way. */
	clear() {
		this.controller?.abort();
		this.controller = new AbortController();
		this.observer.disconnect();
		for (const chunk of this.chunks)
			chunk.remove();
		this.chunks = [];
		this.rows = new Map(); // id → Row
		this.ids = []; // sorted; without those on top
		this.onTop = []; // registered here, newest first
		this.seen.clear();
		this.end = 0; // everything up to this id is loaded
		this.isComplete = false;
		this.loading = null;
		this.error = null;
	}

	get size() {
		return this.rows.size;
	}

	/** From the beginning with this filter. Resolves when the first page is there, or cannot be had. */
	async show(filter) {
		this.clear();
		this.filter = filter;
		await this.loadMore();
	}

	/** The next page; what is asked for meanwhile joins it. */
	loadMore() {
		const { controller } = this;

		if (this.isComplete)
			return Promise.resolve();
		this.loading ??= this.#load(this.end, this.size > 0 ? PAGE : FIRST_PAGE).finally(() => {
			if (controller !== this.controller)
				return;
			this.loading = null;
			this.onChange();
		});
		this.onChange();
		return this.loading;
	}

	/** What failed, once more. */
	retry() {
		return this.isComplete ? this.refreshSeen() : this.loadMore();
	}

	/** On over pages that have nothing: a search looks at so many clients for each. */
	async #load(after, limit) {
		const { signal } = this.controller;
		let page;

		try {
			do {
				page = await listClients({ ...this.filter, after, limit, signal });
				if (signal.aborted)
					return;
				this.#merge(after, page);
				after = page.next;
			} while (after !== null && page.clients.length === 0);
			this.error = null;
		} catch (error) {
			if (signal.aborted || isAbort(error))
				return;
			if (!(error instanceof ApiError))
				throw error;
			this.error = error;
		}
	}

	/** The answer is all there is between after and next: what is not in it is gone. */
	#merge(after, { clients, next }) {
		const last = next ?? Infinity;
		const kept = new Set(clients.map((client) => client.client_id));
		const from = position(this.ids, after + 1);
		const to = position(this.ids, last + 1);

		for (const id of this.ids.slice(from, to))
			if (!kept.has(id))
				this.remove(id);
		for (const client of clients)
			if (!this.deleted.has(client.client_id))
				this.put(client);
		if (last > this.end) {
			this.end = next ?? clients.at(-1)?.client_id ?? this.end;
			this.isComplete = next === null;
		}
	}

	/** Adds a row in its place, or brings it up to date. */
	put(client) {
		const id = client.client_id;
		const known = this.rows.get(id);

		if (known) {
			known.update(client);
			return;
		}
		const at = position(this.ids, id);
		const next = this.rows.get(this.ids[at]);
		const row = this.#make(client);
		if (next)
			next.element.before(row.element);
		else
			this.#lastChunk().append(row.element);
		this.ids.splice(at, 0, id);
		this.#estimate(row.element.parentElement);
	}

	/** Adds the row of a branch that was just registered, above all others. */
	putOnTop(client) {
		this.remove(client.client_id); // which a poll may have brought already
		const row = this.#make(client);

		if (this.onTop.length > 0)
			this.chunks[0].prepend(row.element);
		else
			this.#addChunk(0).append(row.element);
		this.onTop.unshift(client.client_id);
		this.#estimate(row.element.parentElement);
		this.onChange();
		return row;
	}

	#make(client) {
		const row = new Row(client, this.actions);

		row.element.row = row;
		this.rows.set(client.client_id, row);
		return row;
	}

	/** Where a row goes that comes after all others. */
	#lastChunk() {
		const last = this.chunks.at(-1);
		const isOpen = this.ids.length > 0 && last && last.children.length < CHUNK;

		return isOpen ? last : this.#addChunk(this.chunks.length);
	}

	#addChunk(at) {
		const chunk = element("tbody", { role: "rowgroup" });

		this.table.insertBefore(chunk, this.chunks[at] ?? null);
		this.chunks.splice(at, 0, chunk);
		this.observer.observe(chunk);
		return chunk;
	}

	/** How high the chunk will be, for as long as it has not been seen. */
	#estimate(chunk) {
		chunk.style.containIntrinsicBlockSize = `auto ${chunk.children.length * ROW_REM}rem`;
	}

	remove(id) {
		const row = this.rows.get(id);

		if (!row)
			return;
		const chunk = row.element.parentElement;
		const hadFocus = row.element.contains(document.activeElement);
		const neighbour = (row.element.nextElementSibling ?? row.element.previousElementSibling)?.row;
		row.element.remove();
		if (hadFocus)
			(neighbour?.name ?? byId("branches-title")).focus();
		if (chunk.children.length === 0) {
			this.observer.unobserve(chunk);
			this.seen.delete(chunk);
			this.chunks = this.chunks.filter((each) => each !== chunk);
			chunk.remove();
		}
		this.rows.delete(id);
		this.onTop = this.onTop.filter((each) => each !== id);
		if (this.ids[position(this.ids, id)] === id)
			this.ids.splice(position(this.ids, id), 1);
	}

	/** Removes what was deleted here. */
	forget(id) {
		this.deleted.add(id);
		this.remove(id);
	}

	/** Asks again for one branch: { now, isGone, error }, now the client as it is, none of them when that was given up. */
	async lookAt(id) {
		try {
			const { success, ...now } = await getClient(id, this.controller.signal);
			this.rows.get(id)?.update(now);
			return { now };
		} catch (error) {
			if (isAbort(error))
				return {};
			if (!(error instanceof ApiError))
				throw error;
			if (error.code !== "client_not_found")
				return { error };
			this.remove(id);
			return { isGone: true };
		}
	}

	/** The same; the client as it is, null when that cannot be said. */
	async refreshOne(id) {
		return (await this.lookAt(id)).now ?? null;
	}

	/** Asks again for what is in sight, or for the first page when that could not be had. */
	async refreshSeen() {
		if (this.loading)
			return;
		const top = new Set(this.onTop);
		const seen = this.#seenRows().map((row) => row.client.client_id);
		const ids = seen.filter((id) => !top.has(id)).sort((a, b) => a - b);
		const work = seen.filter((id) => top.has(id)).map((id) => this.refreshOne(id));
		if (ids.length > 0) {
			const first = position(this.ids, ids[0]);
			const count = position(this.ids, ids.at(-1)) - first + 1;
			work.push(this.#load(first > 0 ? this.ids[first - 1] : 0, Math.min(count + 1, LIMIT)));
		} else {
			work.push(this.#load(0, FIRST_PAGE));
		}
		await Promise.all(work);
		this.onChange();
	}

	tick() {
		for (const row of this.#seenRows())
			row.tick();
	}

	#seenRows() {
		return [...this.seen].flatMap((chunk) => [...chunk.children].map((each) => each.row));
	}

	#sight(entries) {
		for (const { target, isIntersecting } of entries) {
			if (isIntersecting)
				this.seen.add(target);
			else
				this.seen.delete(target);
		}
		this.tick();
	}
}
