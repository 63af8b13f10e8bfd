// Routes and endpoints in ARM's words, as forms show them. No browser in here.
import type { Tree, Value } from './json';

export type Row = Record<string, string>;

export const sources: [string, string][] = [
    ['DeviceMessages', 'Device telemetry messages'],
    ['TwinChangeEvents', 'Twin change events'],
    ['DeviceLifecycleEvents', 'Device lifecycle events'],
    ['DeviceConnectionStateEvents', 'Device connection state events'],
    ['DigitalTwinChangeEvents', 'Digital twin change events'],
    ['DeviceJobLifecycleEvents', 'Device job lifecycle events'],
    ['AlarmEvents', 'Alarms'],
];

export interface Route {
    name: string;
    source: string;
    condition: string;
    endpointNames: string[];
    isEnabled: boolean;
}

interface EndpointField {
    key: string;
    label: string;
    hint?: string;
    required?: boolean;
    number?: boolean;
    lines?: boolean; // a list of texts
    of?: string[];
}

export interface EndpointKind {
    type: string; // as hub.toml calls it, and the health
    name: string;
    list: string; // of ARM's routing.endpoints
    fields: EndpointField[];
}

const bus: EndpointField[] = [
    { key: 'connectionString', label: 'Connection string', required: true },
    { key: 'entityPath', label: 'Entity', hint: 'Where the connection string has no EntityPath' },
];
const ttl: EndpointField = { key: 'ttl', label: 'Time to live', hint: 'Such as 1d; then to the dead letters' };

export const endpointKinds: EndpointKind[] = [
    {
        type: 'webhook',
        name: 'Webhook',
        list: 'custom',
        fields: [
            { key: 'to', label: 'URL', required: true, hint: 'https://app.example/events' },
            { key: 'headers', label: 'Headers', lines: true, hint: 'Authorization: Bearer …, one a line' },
            { key: 'batch_count', label: 'Messages at once', number: true },
            { key: 'batch_wait', label: 'Wait for others', hint: 'Such as 1s' },
            ttl,
        ],
    },
    { type: 'event-hub', name: 'Event hub', list: 'eventHubs', fields: bus },
    { type: 'service-bus-queue', name: 'Service Bus queue', list: 'serviceBusQueues', fields: bus },
    { type: 'service-bus-topic', name: 'Service Bus topic', list: 'serviceBusTopics', fields: bus },
    {
        type: 'storage',
        name: 'Storage container',
        list: 'storageContainers',
        fields: [
            { key: 'connectionString', label: 'Storage account', hint: 'Empty: the hub’s own blob service' },
            { key: 'containerName', label: 'Container', required: true },
            { key: 'fileNameFormat', label: 'File names', hint: '{iothub}/{partition}/{YYYY}/{MM}/{DD}/{HH}/{mm}' },
            { key: 'encoding', label: 'Encoding', of: ['Avro', 'AvroDeflate', 'JSON'] },
            { key: 'batchFrequencyInSeconds', label: 'A file at least each, s', number: true },
            { key: 'maxChunkSizeInBytes', label: 'Bytes of a file, at most', number: true },
        ],
    },
    {
        type: 'mqtt',
        name: 'MQTT broker',
        list: 'custom',
        fields: [
            { key: 'to', label: 'Broker', required: true, hint: 'mqtts://user:password@broker' },
            { key: 'topic', label: 'Topic', hint: 'devices/{device}/messages/events' },
            ttl,
        ],
    },
    {
        type: 'postgresql',
        name: 'PostgreSQL',
        list: 'custom',
        fields: [
            { key: 'to', label: 'Database', required: true, hint: 'postgresql://user:password@server/database' },
            { key: 'table', label: 'Table' },
            ttl,
        ],
    },
    {
        type: 'mail',
        name: 'Mail',
        list: 'custom',
        fields: [
            { key: 'to', label: 'Server', required: true, hint: 'smtps://user:password@server' },
            { key: 'from', label: 'From', required: true },
            { key: 'recipients', label: 'Recipients', lines: true, required: true, hint: 'One a line' },
            { key: 'subject', label: 'Subject', hint: '{hub}: {device}' },
            { key: 'text', label: 'Text', hint: '{time} {device}: {body}' },
            { key: 'batch_wait', label: 'Gather for', hint: 'Such as 1m' },
            ttl,
        ],
    },
];

const listOf = (value: Value | undefined) => (Array.isArray(value) ? (value as Tree[]) : []);

export interface Endpoint {
    kind: EndpointKind | null; // null: one that only hub.toml can say
    list: string;
    item: Tree;
}

/** All of `routing.endpoints`. */
export function readEndpoints(endpoints: Value | undefined): Endpoint[] {
    const lists = typeof endpoints === 'object' && endpoints !== null && !Array.isArray(endpoints) ? endpoints : {};
    return Object.entries(lists).flatMap(([list, items]) =>
        listOf(items).map((item) => ({
            list,
            item,
            kind:
                endpointKinds.find((kind) => kind.list === list && (list !== 'custom' || kind.type === item.type)) ??
                null,
        })),
    );
}

export function endpointRow(item: Tree): Row {
    return Object.fromEntries(
        Object.entries(item).map(([key, value]) => [key, Array.isArray(value) ? value.join('\n') : String(value)]),
    );
}

/** An endpoint of a form; what it does not show stays as it `was`. */
export function endpointOf(kind: EndpointKind, row: Row, was: Tree): Tree {
    const item: Tree = { ...was, name: row.name ?? '' };
    if (kind.list === 'custom') item.type = kind.type;
    for (const { key, lines, number, of } of kind.fields) {
        const text = (row[key] ?? of?.[0] ?? '').trim();
        if (lines) {
            const list = text.split('\n').filter((line) => line.trim());
            if (list.length || key in was) item[key] = list;
        } else if (text || key in was) {
            item[key] = number ? Number(text) : text;
        }
    }
    return item;
}

export function wrongEndpoint(kind: EndpointKind, row: Row, others: string[]): string {
    const name = row.name ?? '';
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) return 'A name has 1 to 64 letters, digits and - . _';
    if (['events', 'operationsMonitoringEvents', 'fileNotifications'].includes(name)) return `${name} is taken.`;
    if (others.includes(name)) return `There is an endpoint ${name} already.`;
    for (const { key, label, required, number } of kind.fields) {
        const text = (row[key] ?? '').trim();
        if (required && !text) return `${label} is missing.`;
        if (number && text && !/^\d{1,12}$/.test(text)) return `${label} is a whole number.`;
    }
    return '';
}

/** Properties as lines of a form. */
const table = (rows: Row[]) =>
    Object.fromEntries(rows.filter((row) => row.name).map((row) => [row.name ?? '', row.value ?? '']));

export interface TestForm {
    source: string;
    body: string;
    properties: Row[];
    system: Row[];
    twin: string; // JSON
}

/** What $testall, $testnew and $explain take; a body that is JSON goes as such. */
export function testOf(form: TestForm): Tree {
    let body: Value = form.body;
    try {
        const read = JSON.parse(form.body) as Value;
        if (typeof read === 'object' && read !== null) body = read;
    } catch {
        // a text
    }
    return {
        routingSource: form.source,
        message: { body, appProperties: table(form.properties), systemProperties: table(form.system) },
        ...(form.twin.trim() ? { twin: JSON.parse(form.twin) as Tree } : {}),
    };
}
