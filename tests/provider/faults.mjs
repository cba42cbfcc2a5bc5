// Faults of the token and revocation endpoints: which requests they hit and what they do to them.

import { setTimeout as sleep } from 'node:timers/promises';

/** A control request that cannot be carried out as it was written. */
export class BadControlRequest extends Error {
	constructor(message, status = 400) {
		super(message);
		this.status = status;
	}
}

const ENDPOINTS = ['token', 'revocation'];
const MATCHED = ['grant_type', 'client_id', 'refresh_token', 'token']; // compared with the form when given

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isString = (value) => typeof value === 'string';
const isBoolean = (value) => typeof value === 'boolean';
const isStatus = (value) => Number.isInteger(value) && value >= 200 && value <= 599;
const isCount = (value) => Number.isInteger(value) && value >= 0;
const isFields = (value) => Array.isArray(value) && value.every(isString);
const isAnything = () => true;

/** The answer leaves koa's hands: the caller writes it to ctx.res, or never does. */
function takeOver(ctx) {
	ctx.respond = false;
	return ctx.res;
}

function cut(ctx) {
	takeOver(ctx).destroy();
}

async function drip(ctx, { ms }) {
	const { status, body } = ctx;
	const text = Buffer.from(isObject(body) ? JSON.stringify(body) : (body ?? ''));
	ctx.length = text.length;
	const res = takeOver(ctx);
	res.statusCode = status;
	res.flushHeaders();
	for (const byte of text) {
		await sleep(ms);
		if (res.destroyed) return;
		res.write(Uint8Array.of(byte));
	}
	res.end();
}

// A whole, usable answer when it is read to its end: only a cap on the reader's side refuses it.
async function huge(ctx, { bytes, chunked = false }) {
	const head = '{"token_type":"Bearer","expires_in":3600,"access_token":"';
	const tail = '"}';
	const filler = Buffer.alloc(64 * 1024, 'a');
	const res = takeOver(ctx);
	res.writeHead(200, {
		'content-type': 'application/json',
		'cache-control': 'no-store',
		...(chunked ? {} : { 'content-length': bytes }),
	});
	let left = bytes;
	const write = async (part) => {
		const piece = part.slice(0, left);
		left -= piece.length;
		if (!res.destroyed && !res.write(piece)) {
			await new Promise((resume) => {
				res.once('drain', resume);
				res.once('close', resume);
			});
		}
	};
	await write(head);
	while (left > tail.length && !res.destroyed) {
		await write(filler.subarray(0, Math.min(filler.length, left - tail.length)));
	}
	await write(tail);
	res.end();
}

function fixedAnswer(ctx, { status, headers = {}, body = '', content_type }) {
	ctx.status = status;
	ctx.body = isString(body) ? body : JSON.stringify(body);
	// After the body, and not through ctx.type: koa would set types and charsets of its own.
	ctx.set('content-type', content_type ?? (isString(body) ? 'text/html; charset=utf-8' : 'application/json'));
	ctx.set(headers);
}

function oauthError(ctx, { status = 400, error, error_description }) {
	ctx.set('cache-control', 'no-store');
	ctx.status = status;
	ctx.body = { error, ...(error_description === undefined ? {} : { error_description }) };
}

function rewrite(ctx, { set = {}, remove = [] }) {
	if (!isObject(ctx.body)) return;
	const body = { ...ctx.body, ...set };
	for (const field of remove) delete body[field];
	ctx.body = body;
}

/*
 * kind → { fields: name → check, required: names, and one of
 *   before(ctx, fault, gate)   then the real processing
 *   instead(ctx, fault, gate)  no real processing
 *   after(ctx, fault, gate)    the real processing is done, its answer is in ctx and not yet sent }
 */
const KINDS = {
	delay: { fields: { ms: isCount }, required: ['ms'], before: (ctx, { ms }) => sleep(ms) },
	delay_after: { fields: { ms: isCount }, required: ['ms'], after: (ctx, { ms }) => sleep(ms) },
	drip: { fields: { ms: isCount }, required: ['ms'], after: drip },
	drop: { instead: cut },
	drop_after: { after: cut },
	hang: { instead: takeOver },
	hold: { before: (ctx, fault, gate) => gate.opened() },
	hold_after: { after: (ctx, fault, gate) => gate.opened() },
	huge: { fields: { bytes: isCount, chunked: isBoolean }, required: ['bytes'], instead: huge },
	oauth_error: {
		fields: { status: isStatus, error: isString, error_description: isString },
		required: ['error'],
		instead: oauthError,
	},
	rewrite: { fields: { set: isObject, remove: isFields }, after: rewrite },
	status: {
		fields: { status: isStatus, headers: isObject, body: isAnything, content_type: isString },
		required: ['status'],
		instead: fixedAnswer,
	},
};

/** What requests under `hold` wait for. */
class Gate {
	#waiting = [];

	opened() {
		return new Promise((resolve) => this.#waiting.push(resolve));
	}

	open() {
		const released = this.#waiting.splice(0);
		for (const resolve of released) resolve();
		return released.length;
	}
}

// A misspelt field would make a test pass for the wrong reason: everything is checked.
function check(fault) {
	if (!isObject(fault)) throw new BadControlRequest('a fault is a JSON object');
	const { kind, endpoint, times = 1, ...rest } = fault;
	if (!ENDPOINTS.includes(endpoint)) throw new BadControlRequest(`endpoint: one of ${ENDPOINTS.join(', ')}`);
	if (!Object.hasOwn(KINDS, kind)) throw new BadControlRequest(`kind: one of ${Object.keys(KINDS).join(', ')}`);
	if (times !== null && !(isCount(times) && times > 0)) {
		throw new BadControlRequest('times: a positive integer, or null for ever');
	}
	const { fields = {}, required = [] } = KINDS[kind];
	for (const [name, value] of Object.entries(rest)) {
		const valid = MATCHED.includes(name) ? isString : Object.hasOwn(fields, name) && fields[name];
		if (!valid) throw new BadControlRequest(`${name}: no field of a ${kind} fault`);
		if (!valid(value)) throw new BadControlRequest(`${name}: wrong value for a ${kind} fault`);
	}
	for (const name of required) {
		if (!Object.hasOwn(rest, name)) throw new BadControlRequest(`${name}: missing in a ${kind} fault`);
	}
	return { ...fault, times };
}

export class Faults {
	#list = [];
	#nextId = 1;
	#gate = new Gate();

	add(fault) {
		const added = { id: this.#nextId++, ...check(fault) };
		this.#list.push(added);
		return added;
	}

	list() {
		return this.#list;
	}

	/** Removes all faults; requests that are held go on. */
	clear() {
		this.#list = [];
		this.release();
	}

	/** Lets every held request go on; the number of them. */
	release() {
		return this.#gate.open();
	}

	/** The first fault that matches, used up by one; undefined when there is none. */
	take(endpoint, form) {
		const fault = this.#list.find(
			(candidate) =>
				candidate.endpoint === endpoint &&
				MATCHED.every((name) => candidate[name] === undefined || candidate[name] === form[name]),
		);
		if (fault && fault.times !== null) {
			fault.times -= 1;
			if (fault.times === 0) this.#list.splice(this.#list.indexOf(fault), 1);
		}
		return fault;
	}

	/** Runs @process, the real endpoint, under @fault. */
	async apply(ctx, fault, process) {
		const { before, instead, after } = KINDS[fault?.kind] ?? {};
		if (instead) {
			await instead(ctx, fault, this.#gate);
			return;
		}
		await before?.(ctx, fault, this.#gate);
		await process();
		await after?.(ctx, fault, this.#gate);
	}
}
