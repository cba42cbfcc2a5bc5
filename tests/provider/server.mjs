// Stand-in OAuth provider: command line, HTTP server, start and end. See README.md.

import { Console } from 'node:console';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { controlApi } from './control.mjs';
import { Faults } from './faults.mjs';
import { RequestLog } from './log.mjs';
import { addClient, defaultSettings, makeProvider } from './provider.mjs';
import { Store } from './store.mjs';

const SANDBOX_CLIENT = { client_id: 'sandbox-client', client_secret: 'sandbox-secret' };

function usageError(message) {
	process.stderr.write(`stand-in provider: ${message}; see --help\n`);
	process.exit(2);
}

function readArguments() {
	try {
		const { values } = parseArgs({
			options: {
				help: { type: 'boolean', short: 'h' },
				host: { type: 'string', default: '127.0.0.1' },
				port: { type: 'string', default: '0' },
				verbose: { type: 'boolean', default: false },
			},
		});
		if (!/^\d{1,5}$/.test(values.port) || Number(values.port) > 65535) usageError('--port: 0 to 65535');
		return { ...values, port: Number(values.port) };
	} catch (error) {
		return usageError(error.message);
	}
}

// stdout belongs to the ready line; the library's notices are for --verbose.
function quietConsole(verbose) {
	const sink = verbose ? process.stderr : new Writable({ write: (chunk, encoding, done) => done() });
	globalThis.console = new Console({ stdout: sink, stderr: sink });
}

const args = readArguments();
if (args.help) {
	process.stdout.write(readFileSync(new URL('usage.txt', import.meta.url)));
	process.exit(0);
}
quietConsole(args.verbose);

const world = {
	faults: new Faults(),
	log: new RequestLog(),
	offlineGrants: new Set(), // ids of grants that were asked for with access_type=offline
	settings: defaultSettings(),
	store: new Store(),
};
await addClient(world.store, SANDBOX_CLIENT);

// Longer than any client keeps an idle connection: the end of one is then never the server's doing.
const server = createServer({ keepAliveTimeout: 240_000, noDelay: true });

server.on('error', (error) => {
	process.stderr.write(`stand-in provider: cannot listen on ${args.host} port ${args.port}: ${error.message}\n`);
	process.exit(1);
});

server.listen(args.port, args.host, () => {
	// The issuer is the server's own origin, known only now when the port was 0.
	const { address, family, port } = server.address();
	const origin = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
	const provider = makeProvider(origin, world);
	provider.on('server_error', (ctx, error) => process.stderr.write(`stand-in provider: ${error.stack}\n`));
	const serveProvider = provider.callback();
	const serveControl = controlApi(world);

	server.on('request', (req, res) => {
		if (args.verbose) res.once('close', () => console.error(`${req.method} ${req.url} ${res.statusCode}`));
		const serve = req.url.startsWith('/_control/') ? serveControl : serveProvider;
		serve(req, res).catch((error) => {
			process.stderr.write(`stand-in provider: ${error.stack}\n`);
			res.destroy();
		});
	});
	process.stdout.write(`stand-in provider ready: ${origin}\n`);
});

function end() {
	server.close(() => process.exit(0));
	server.closeAllConnections();
}
process.on('SIGTERM', end);
process.on('SIGINT', end);
