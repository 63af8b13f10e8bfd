// Configurations and deployments as forms show them, and back. No browser in here.
import type { Tree, Value } from './json';

export type Kind = 'devices' | 'modules' | 'deployment' | 'layered';
export type Row = Record<string, string>;

const DESIRED = 'properties.desired';
const tree = (value: Value | undefined): Tree =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
const text = (value: Value | undefined) => (typeof value === 'string' ? value : '');
const number = (value: Value | undefined) => (typeof value === 'number' ? String(value) : '');
const filled = (value: Tree) => Object.keys(value).length > 0;

export const kindNames: Record<Kind, string> = {
    devices: 'Devices',
    modules: 'Modules',
    deployment: 'Deployment',
    layered: 'Layered deployment',
};

export function kindOf(content: Value | undefined): Kind {
    const { moduleContent, modulesContent } = tree(content);
    if (filled(tree(moduleContent))) return 'modules';
    if (!filled(tree(modulesContent))) return 'devices';
    const keys = Object.values(tree(modulesContent)).flatMap((keys) => Object.keys(tree(keys)));
    return keys.some((key) => key.startsWith(`${DESIRED}.`)) ? 'layered' : 'deployment';
}

export const isForEdge = (content: Value | undefined) => ['deployment', 'layered'].includes(kindOf(content));

/** Why an id is none; empty: it is one. */
export function wrongId(id: string): string {
    return /^[a-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/.test(id)
        ? ''
        : "1 to 128 lower-case letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ '";
}

export function wrongPriority(priority: string): string {
    return /^\d+$/.test(priority) && Number(priority) <= 2147483647 ? '' : 'A whole number from 0 to 2147483647';
}

export function rowsOf(table: Value | undefined, value: string): Row[] {
    return Object.entries(tree(table)).map(([name, one]) => ({ name, [value]: String(one) }));
}

/** Lines with the same name twice, or without one, are a mistake; empty lines are none. */
export function tableOf(rows: Row[], value: string): Record<string, string> {
    return Object.fromEntries(rows.filter((row) => row.name).map((row) => [row.name ?? '', row[value] ?? '']));
}

export function wrongRows(rows: Row[], what: string): string {
    const names = rows.map((row) => row.name ?? '');
    if (names.some((name) => !name)) return `A ${what} has no name.`;
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    return twice ? `There are two of the name “${twice}”.` : '';
}

/* ---- what edge devices get ---- */

export interface ModuleForm {
    name: string;
    type: string; // docker or process
    image: string;
    command: string; // of a process: an argument a line
    status: string;
    restartPolicy: string;
    imagePullPolicy: string;
    startupOrder: string;
    env: Row[]; // name, value
    createOptions: string; // JSON, or empty
    path: string; // of a layer: where below desired its settings stand; empty: they are all
    twin: string; // JSON, or empty: it says nothing of its twin
    was: Tree; // as it came: what forms do not show stays
}

export interface EdgeForm {
    layered: boolean;
    registries: Row[]; // name, address, username, password
    agent: ModuleForm;
    hub: ModuleForm;
    agentSchema: string;
    hubSchema: string;
    timeToLive: string; // s
    modules: ModuleForm[];
    routes: Row[]; // name, route, priority, timeToLive
    was: { agent: Tree; hub: Tree; rest: Tree };
}

export const restartPolicies = ['always', 'on-unhealthy', 'on-failure', 'never'];
export const MODULES_MOST = 50;
const OPTIONS_PART = 512; // of createOptions, in one text

function optionsOf(settings: Tree): string {
    if (typeof settings.createOptions === 'object' && settings.createOptions) return pretty(settings.createOptions);
    const parts = Object.keys(settings).filter((key) => /^createOptions(\d\d)?$/.test(key));
    const whole = parts
        .sort()
        .map((key) => text(settings[key]))
        .join('');
    try {
        return whole ? pretty(JSON.parse(whole) as Value) : '';
    } catch {
        return whole;
    }
}

const pretty = (value: Value) => JSON.stringify(value, null, 2);

export function moduleForm(name: string, was: Tree, twin?: Value, path = ''): ModuleForm {
    const settings = tree(was.settings);
    return {
        name,
        type: text(was.type) || 'docker',
        image: text(settings.image),
        command: Array.isArray(settings.command) ? settings.command.map(String).join('\n') : '',
        status: text(was.status) || 'running',
        restartPolicy: text(was.restartPolicy) || 'always',
        imagePullPolicy: text(was.imagePullPolicy) || 'on-create',
        startupOrder: number(was.startupOrder),
        env: Object.entries(tree(was.env)).map(([key, one]) => ({ name: key, value: String(tree(one).value ?? '') })),
        createOptions: optionsOf(settings),
        path,
        twin: twin === undefined ? '' : pretty(twin),
        was,
    };
}

export const freshModule = () => moduleForm('', { type: 'docker', version: '1.0' });

export function wrongModule(form: ModuleForm, others: string[]): string {
    if (!/^[A-Za-z0-9\-._%*?!(),:=@;']{1,128}$/.test(form.name)) return 'A name has 1 to 128 letters and digits.';
    if (others.includes(form.name)) return `There is a module ${form.name} already.`;
    if (form.type === 'process' && !form.command.trim()) return 'It needs a command.';
    if (form.type !== 'process' && !form.image.trim()) return 'It needs an image.';
    if (form.startupOrder && !/^\d{1,10}$/.test(form.startupOrder)) return 'The startup order is a whole number.';
    const wrong = wrongRows(form.env, 'variable');
    if (wrong) return wrong;
    for (const [what, json] of [
        ['The create options', form.createOptions],
        ['The twin’s settings', form.twin],
    ] as const) {
        const value = parsed(json);
        if (json.trim() && value === undefined) return `${what} are not JSON.`;
        if (json.trim() && !form.path && !isObject(value)) return `${what} are not a JSON object.`;
    }
    if (form.path && !/^[^\s.$]+(\.[^\s.$]+)*$/.test(form.path)) return 'The path is names with dots between them.';
    if (form.path && !form.twin.trim()) return 'A path needs settings.';
    return '';
}

const isObject = (value: Value | undefined) => typeof value === 'object' && value !== null && !Array.isArray(value);

function parsed(json: string): Value | undefined {
    try {
        return JSON.parse(json) as Value;
    } catch {
        return undefined;
    }
}

/** What $edgeAgent is told of a module. */
export function moduleOf(form: ModuleForm, system = false): Tree {
    const process = form.type === 'process';
    const shown = /^(image|command|createOptions(\d\d)?)$/;
    const settings: Tree = Object.fromEntries(
        Object.entries(tree(form.was.settings)).filter(([key]) => !shown.test(key)),
    );
    const options = parsed(form.createOptions);
    if (process) settings.command = form.command.split('\n').filter((line) => line.trim());
    else settings.image = form.image.trim();
    if (!process && isObject(options)) {
        const whole = JSON.stringify(options);
        for (let at = 0, part = 0; at < whole.length; at += OPTIONS_PART, part++)
            settings['createOptions' + (part ? String(part).padStart(2, '0') : '')] = whole.slice(
                at,
                at + OPTIONS_PART,
            );
    }
    const said: Tree = { ...form.was, type: form.type, settings };
    if (!system || form.was.status) said.status = form.status;
    if (!system || form.was.restartPolicy) said.restartPolicy = form.restartPolicy;
    if (form.imagePullPolicy !== 'on-create' || form.was.imagePullPolicy) said.imagePullPolicy = form.imagePullPolicy;
    if (form.startupOrder) said.startupOrder = Number(form.startupOrder);
    else delete said.startupOrder;
    const env = Object.fromEntries(form.env.map((row) => [row.name ?? '', { value: row.value ?? '' }]));
    if (form.env.length) said.env = env;
    else delete said.env;
    return said;
}

export function routeRows(routes: Value | undefined): Row[] {
    return Object.entries(tree(routes)).map(([name, one]) =>
        typeof one === 'string'
            ? { name, route: one, priority: '', timeToLive: '' }
            : {
                  name,
                  route: text(tree(one).route),
                  priority: number(tree(one).priority),
                  timeToLive: number(tree(one).timeToLiveSecs),
              },
    );
}

function routeOf(row: Row): Value {
    const said: Tree = { route: row.route ?? '' };
    if (row.priority) said.priority = Number(row.priority);
    if (row.timeToLive) said.timeToLiveSecs = Number(row.timeToLive);
    return Object.keys(said).length > 1 ? said : (row.route ?? '');
}

export function wrongRoutes(rows: Row[]): string {
    const wrong = wrongRows(rows, 'route');
    if (wrong) return wrong;
    for (const row of rows) {
        if (!/^\s*(FROM|SELECT)\s/i.test(row.route ?? '')) return `Route ${row.name} does not begin with FROM.`;
        if (row.priority && !/^[0-9]$/.test(row.priority)) return `The priority of route ${row.name} is 0 to 9.`;
        if (row.timeToLive && !/^\d{1,10}$/.test(row.timeToLive))
            return `The time to live of route ${row.name} is a number of seconds.`;
    }
    return '';
}

export function freshEdge(layered: boolean): EdgeForm {
    const own = { type: 'process', settings: { command: ['skerry-edge'] } };
    return {
        layered,
        registries: [],
        agent: moduleForm('edgeAgent', own),
        hub: moduleForm('edgeHub', { ...own, status: 'running', restartPolicy: 'always' }),
        agentSchema: '1.1',
        hubSchema: '1.1',
        timeToLive: '7200',
        modules: [],
        routes: layered
            ? []
            : [{ name: 'upstream', route: 'FROM /messages/* INTO $upstream', priority: '', timeToLive: '' }],
        was: { agent: {}, hub: {}, rest: {} },
    };
}

/** A form out of `modulesContent`; a layer's keys have paths. */
export function readEdge(content: Tree): EdgeForm {
    const layered = kindOf({ modulesContent: content }) === 'layered';
    const form = freshEdge(layered);
    if (layered) return readLayer(content, form);
    const agent = tree(tree(content.$edgeAgent)[DESIRED]);
    const hub = tree(tree(content.$edgeHub)[DESIRED]);
    const system = tree(agent.systemModules);
    const registries = tree(tree(tree(agent.runtime).settings).registryCredentials);
    form.was = { agent, hub, rest: {} };
    form.registries = Object.entries(registries).map(([name, one]) => ({
        name,
        address: text(tree(one).address),
        username: text(tree(one).username),
        password: text(tree(one).password),
    }));
    if (filled(tree(system.edgeAgent))) form.agent = moduleForm('edgeAgent', tree(system.edgeAgent));
    if (filled(tree(system.edgeHub))) form.hub = moduleForm('edgeHub', tree(system.edgeHub));
    form.agentSchema = text(agent.schemaVersion) || form.agentSchema;
    form.hubSchema = text(hub.schemaVersion) || form.hubSchema;
    form.timeToLive = number(tree(hub.storeAndForwardConfiguration).timeToLiveSecs) || form.timeToLive;
    form.routes = routeRows(hub.routes);
    form.modules = Object.entries(tree(agent.modules)).map(([name, one]) =>
        moduleForm(name, tree(one), tree(content[name])[DESIRED]),
    );
    form.was.rest = restOf(content, form.modules);
    return form;
}

/** Twins of modules that the content does not start, and what else a layer says of those that it does. */
function restOf(content: Tree, modules: ModuleForm[]): Tree {
    const rest = Object.entries(content).flatMap(([name, keys]): [string, Tree][] => {
        const started = modules.some((module) => module.name === name);
        const more = Object.entries(tree(keys)).slice(started ? 1 : 0);
        return name.startsWith('$') || !more.length ? [] : [[name, Object.fromEntries(more)]];
    });
    return Object.fromEntries(rest);
}

function readLayer(content: Tree, form: EdgeForm): EdgeForm {
    for (const [key, value] of Object.entries(tree(content.$edgeHub))) {
        const name = key.replace(`${DESIRED}.routes.`, '');
        if (name !== key) form.routes.push(...routeRows({ [name]: value }));
        else form.was.hub[key] = value;
    }
    for (const [key, value] of Object.entries(tree(content.$edgeAgent))) {
        const name = key.replace(`${DESIRED}.modules.`, '');
        if (name === key || name.includes('.')) {
            form.was.agent[key] = value;
            continue;
        }
        const [path, twin] = Object.entries(tree(content[name]))[0] ?? [];
        form.modules.push(moduleForm(name, tree(value), twin, path?.slice(DESIRED.length + 1)));
    }
    form.was.rest = restOf(content, form.modules);
    return form;
}

/** `modulesContent` of a form. */
export function writeEdge(form: EdgeForm): Tree {
    const twins = new Map(Object.entries(form.was.rest).map(([name, keys]) => [name, tree(keys)]));
    for (const { name, path, twin } of form.modules) {
        const value = parsed(twin);
        const key = DESIRED + (form.layered && path ? `.${path}` : '');
        if (value !== undefined) twins.set(name, { [key]: value, ...twins.get(name) });
    }
    return { ...(form.layered ? layerOf(form) : wholeOf(form)), ...Object.fromEntries(twins) };
}

function layerOf(form: EdgeForm): Tree {
    const agent: Tree = { ...form.was.agent };
    const hub: Tree = { ...form.was.hub };
    for (const module of form.modules) agent[`${DESIRED}.modules.${module.name}`] = moduleOf(module);
    for (const row of form.routes) hub[`${DESIRED}.routes.${row.name}`] = routeOf(row);
    const content: Tree = {};
    if (filled(agent)) content.$edgeAgent = agent;
    if (filled(hub)) content.$edgeHub = hub;
    return content;
}

function wholeOf(form: EdgeForm): Tree {
    const runtime = tree(form.was.agent.runtime);
    const registryCredentials: Tree = Object.fromEntries(
        form.registries.map(({ name = '', address = '', username = '', password = '' }) => [
            name,
            { address, username, password },
        ]),
    );
    const settings: Tree = { minDockerVersion: 'v1.25', ...tree(runtime.settings) };
    if (form.registries.length) settings.registryCredentials = registryCredentials;
    else delete settings.registryCredentials;
    const modules = Object.fromEntries(form.modules.map((module) => [module.name, moduleOf(module)]));
    const agent: Tree = {
        ...form.was.agent,
        schemaVersion: form.agentSchema,
        runtime: { type: 'docker', ...runtime, settings },
        systemModules: {
            ...tree(form.was.agent.systemModules),
            edgeAgent: moduleOf(form.agent, true),
            edgeHub: moduleOf(form.hub, true),
        },
        modules,
    };
    const hub: Tree = {
        ...form.was.hub,
        schemaVersion: form.hubSchema,
        routes: Object.fromEntries(form.routes.map((row) => [row.name ?? '', routeOf(row)])),
        storeAndForwardConfiguration: {
            ...tree(form.was.hub.storeAndForwardConfiguration),
            timeToLiveSecs: Number(form.timeToLive),
        },
    };
    return { $edgeAgent: { [DESIRED]: agent }, $edgeHub: { [DESIRED]: hub } };
}

/* ---- what devices and modules get ---- */

/** Lines of `path` and JSON `value` out of a content's keys. */
export function settingRows(content: Value | undefined): Row[] {
    return Object.entries(tree(content)).map(([key, value]) => ({
        path: key.slice(DESIRED.length + 1),
        value: JSON.stringify(value),
    }));
}

export function settingsOf(rows: Row[]): Tree {
    return Object.fromEntries(
        rows.map((row) => [DESIRED + (row.path ? `.${row.path}` : ''), parsed(row.value ?? '') ?? null]),
    );
}

export function wrongSettings(rows: Row[]): string {
    if (!rows.length) return 'It needs at least one setting.';
    for (const { path = '', value = '' } of rows) {
        if (path && !/^[^\s.$]+(\.[^\s.$]+)*$/.test(path)) return `“${path}” is not names with dots between them.`;
        if (rows.filter((row) => row.path === path).length > 1) return `“${path}” is there twice.`;
        if (parsed(value) === undefined) return `The value of “${path || DESIRED}” is not JSON; a text is in quotes.`;
        if (!path && !isObject(parsed(value))) return 'Without a path the value is an object.';
    }
    return '';
}
