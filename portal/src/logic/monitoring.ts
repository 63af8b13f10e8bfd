// Remote monitoring as docs/protocols/remote-monitoring.md has it: groups, rules, alarms, and what is counted of them. No browser in here.
import { literal } from '../api';
import type { AlarmAction, RuleAction } from './rule-actions';

export type Severity = 'Critical' | 'Warning' | 'Info';
export type AlarmStatus = 'open' | 'acknowledged' | 'closed';
export type Value = string | number | boolean;

export interface GroupCondition {
    Key: string;
    Operator: string;
    Value: Value | Value[];
}
export interface Group {
    Id: string;
    ETag: string;
    DisplayName: string;
    Conditions: GroupCondition[];
}
export interface RuleCondition {
    Field: string;
    Operator?: string;
    Value?: string | number;
}
export interface Rule {
    Id: string;
    ETag: string;
    Name: string;
    Description: string;
    GroupId: string;
    Enabled: boolean;
    Deleted: boolean;
    Severity: Severity;
    Calculation: string;
    TimePeriod?: string | number;
    Conditions?: RuleCondition[];
    Actions?: RuleAction[];
}
export interface Alarm {
    Id: string;
    ETag: string;
    DateCreated: string;
    DateModified: string;
    DateReceived: string;
    Description: string;
    GroupId: string;
    DeviceId: string;
    Status: AlarmStatus;
    Logic: string;
    Rule: { Id: string; Severity: Severity; Description: string };
    Actions?: AlarmAction[];
}
export interface ByRule {
    Rule: { Id: string; Severity: Severity; Description: string };
    Count: number;
    Open: number;
    Status: AlarmStatus;
    Created: string;
}

export const severities: Severity[] = ['Critical', 'Warning', 'Info']; // the worst first
export const rank = (severity: Severity | undefined) => (severity ? severities.indexOf(severity) : severities.length);

export interface Range {
    id: string;
    name: string;
    before: string; // the name of the time before it
    span: string; // ISO 8601
    twice: string;
}
export const ranges: Range[] = [
    { id: 'hour', name: 'Last hour', before: 'the hour before', span: 'PT1H', twice: 'PT2H' },
    { id: 'day', name: 'Last day', before: 'the day before', span: 'P1D', twice: 'P2D' },
    { id: 'week', name: 'Last week', before: 'the week before', span: 'P7D', twice: 'P14D' },
    { id: 'month', name: 'Last 30 days', before: 'the 30 days before', span: 'P30D', twice: 'P60D' },
];
export const rangeOf = (id: string | null): Range => ranges.find((one) => one.id === id) ?? (ranges[0] as Range);

export const groupOperators: [string, string][] = [
    ['EQ', '='],
    ['NE', '!='],
    ['LT', '<'],
    ['GT', '>'],
    ['LE', '<='],
    ['GE', '>='],
    ['IN', 'IN'],
];

const written = (value: Value) => (typeof value === 'string' ? literal(value) : String(value));

/** The condition of the query language that selects a group's devices; empty: all. */
export function groupQuery(conditions: GroupCondition[]): string {
    return conditions
        .map(({ Key, Operator, Value }) => {
            const path = Key.replace(/^(Tags|Properties\.(Reported|Desired))\./i, (root) => root.toLowerCase());
            const name = /^deviceid$/i.test(Key) ? 'deviceId' : path;
            const sign = groupOperators.find(([operator]) => operator === Operator)?.[1] ?? '=';
            const value = Array.isArray(Value) ? `[${Value.map(written).join(', ')}]` : written(Value);
            return `${name} ${sign} ${value}`;
        })
        .join(' AND ');
}

const signs: Record<string, string> = {
    greaterthan: '>',
    greaterthanorequal: '≥',
    lessthan: '<',
    lessthanorequal: '≤',
    equals: '=',
};
const minutes = (period: unknown) => {
    const count = Number(period) / 60_000;
    const [unit, size] = count % 1440 === 0 ? ['day', 1440] : count % 60 === 0 ? ['hour', 60] : ['minute', 1];
    return `${count / (size as number)} ${unit}${count === size ? '' : 's'}`;
};

/** "Average of 5 minutes" */
export function calculationText(rule: Pick<Rule, 'Calculation' | 'TimePeriod'>): string {
    if (rule.Calculation === 'Instant') return 'Each message';
    if (rule.Calculation === 'Missing') return `No data for ${minutes(rule.TimePeriod)}`;
    return `${rule.Calculation} of ${minutes(rule.TimePeriod)}`;
}

/** "pressure > 250 and humidity ≥ 80" */
export function triggerText(rule: Pick<Rule, 'Calculation' | 'Conditions'>): string {
    const list = rule.Conditions ?? [];
    if (rule.Calculation === 'Missing') return list.length ? list.map((one) => one.Field).join(' and ') : 'any message';
    return list
        .map((one) => `${one.Field} ${signs[String(one.Operator).toLowerCase()] ?? one.Operator} ${one.Value}`)
        .join(' and ');
}

/** Of each device the severity of its worst open alarm. */
export function worstByDevice(alarms: Alarm[]): Map<string, Severity> {
    const worst = new Map<string, Severity>();
    for (const alarm of alarms)
        if (alarm.Status === 'open' && rank(alarm.Rule.Severity) < rank(worst.get(alarm.DeviceId)))
            worst.set(alarm.DeviceId, alarm.Rule.Severity);
    return worst;
}

/** How many open alarms there are of a severity. */
export const openOf = (rows: ByRule[], severity: Severity) =>
    rows.filter((row) => row.Rule.Severity === severity).reduce((sum, row) => sum + row.Open, 0);

export interface TopRule {
    id: string;
    now: number;
    before: number;
}
/** The rules with most alarms that are not closed. */
export function topRules(now: ByRule[], before: ByRule[], most = 5): TopRule[] {
    const earlier = new Map(before.map((row) => [row.Rule.Id, row.Count]));
    return now
        .map((row) => ({ id: row.Rule.Id, now: row.Count, before: earlier.get(row.Rule.Id) ?? 0 }))
        .sort((a, b) => b.now - a.now || (a.id < b.id ? -1 : 1))
        .slice(0, most);
}

/** Of alarms of any status, by what `typeOf` says of their device; the most first. */
export function alarmsByType(alarms: Alarm[], typeOf: (device: string) => string): [string, number][] {
    const counts = new Map<string, number>();
    for (const alarm of alarms) {
        const type = typeOf(alarm.DeviceId);
        counts.set(type, (counts.get(type) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/** Critical alarms as a share of all, of any status; null without alarms. */
export function criticalShare(alarms: Alarm[]): number | null {
    if (!alarms.length) return null;
    return (100 * alarms.filter((alarm) => alarm.Rule.Severity === 'Critical').length) / alarms.length;
}

/** "+25 %", "−10 %", "new" where there was nothing; empty where nothing is and was. */
export function changeText(now: number, before: number): string {
    if (before === 0) return now === 0 ? '' : 'new';
    const change = Math.round((100 * (now - before)) / before);
    return `${change > 0 ? '+' : change < 0 ? '−' : '±'}${Math.abs(change)} %`;
}

/* ---- forms ---- */

/** A line of a group's form: all of it as text. */
export type ConditionRow = { key: string; operator: string; type: string; value: string };

export const valueTypes: [string, string][] = [
    ['text', 'Text'],
    ['number', 'Number'],
    ['boolean', 'True or false'],
];

const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
export const isNumber = (text: string) => NUMBER.test(text.trim()) && Number.isFinite(Number(text));

/** Why a text is no value of a type; empty: it is one. */
export function wrongValue(type: string, text: string): string {
    if (type === 'number') return isNumber(text) ? '' : 'This is no number.';
    if (type === 'boolean') return text === 'true' || text === 'false' ? '' : 'true or false';
    return '';
}
export const readValue = (type: string, text: string): Value =>
    type === 'number' ? Number(text) : type === 'boolean' ? text === 'true' : text;
const typeOf = (value: Value) => (typeof value === 'string' ? 'text' : typeof value);

const KEY = /^(deviceid|(tags|properties\.(reported|desired))(\.\w+)+)$/i;
export const wrongKey = (key: string) =>
    KEY.test(key) ? '' : 'a key is such as Tags.site, Properties.Reported.Type, Properties.Desired.Mode or DeviceId.';

const items = (text: string) =>
    text
        .split(',')
        .map((one) => one.trim())
        .filter(Boolean);

/** Why a line is no condition; empty: it is one. */
export function wrongCondition(row: ConditionRow): string {
    if (wrongKey(row.key)) return wrongKey(row.key);
    if (row.operator !== 'IN') return wrongValue(row.type, row.value);
    if (!items(row.value).length) return 'IN takes values with commas between.';
    return (
        items(row.value)
            .map((one) => wrongValue(row.type, one))
            .find(Boolean) ?? ''
    );
}

export const toCondition = (row: ConditionRow): GroupCondition => ({
    Key: row.key,
    Operator: row.operator,
    Value:
        row.operator === 'IN'
            ? items(row.value).map((one) => readValue(row.type, one))
            : readValue(row.type, row.value),
});

export function toRow({ Key, Operator, Value }: GroupCondition): ConditionRow {
    const first = Array.isArray(Value) ? (Value[0] ?? '') : Value;
    return {
        key: Key,
        operator: Operator,
        type: typeOf(first),
        value: Array.isArray(Value) ? Value.join(', ') : String(Value),
    };
}

/** Which field of the rule's form a refusal of the hub is about. */
export function fieldOf(message: string): string {
    const words: [RegExp, string][] = [
        [/^Name\b/, 'Name'],
        [/^Description\b/, 'Description'],
        [/GroupId|device group/, 'GroupId'],
        [/^TimePeriod/, 'TimePeriod'],
        [/^Actions/, 'Actions'],
        [/condition|^Operator/i, 'Conditions'],
        [/^Severity/, 'Severity'],
        [/^Calculation/, 'Calculation'],
    ];
    return words.find(([pattern]) => pattern.test(message))?.[1] ?? '';
}

export const calculations: [string, string][] = [
    ['Instant', 'Each message'],
    ['Average', 'Average over a window'],
    ['Minimum', 'Minimum over a window'],
    ['Maximum', 'Maximum over a window'],
    ['Count', 'Count over a window'],
    ['Change', 'Change over a window (greatest minus least)'],
    ['Missing', 'Missing: no data for a window'],
];
/** The minutes of a form as the hub has them; what is no number goes as it is, and is refused. */
export const periodOf = (minutes: string) => (isNumber(minutes) ? String(Number(minutes) * 60_000) : minutes);
export const ruleOperators: [string, string][] = [
    ['GreaterThan', '>'],
    ['GreaterThanOrEqual', '≥'],
    ['LessThan', '<'],
    ['LessThanOrEqual', '≤'],
    ['Equals', '='],
];

/* ---- many devices at once ---- */

/** A line of a patch's form: "site.floor", a number, 3. */
export type PatchRow = { path: string; type: string; value: string };
export const patchTypes: [string, string][] = [...valueTypes, ['json', 'JSON'], ['remove', 'Remove it']];

const isJson = (text: string) => {
    try {
        JSON.parse(text);
        return true;
    } catch {
        return false;
    }
};

/** Why lines are no patch; empty: they are one. */
export function wrongPatch(rows: PatchRow[]): string {
    if (!rows.length) return 'Nothing would change.';
    for (const row of rows) {
        if (!row.path.split('.').every((part) => /^[^\s$#.[\]]+$/.test(part)))
            return 'A name has no blanks and none of $ # [ ]; dots stand between names within each other.';
        const wrong =
            row.type === 'json' ? (isJson(row.value) ? '' : 'This is not JSON.') : wrongValue(row.type, row.value);
        if (wrong) return `${row.path}: ${wrong}`;
    }
    const paths = rows.map((row) => row.path);
    const twice = paths.find((path, i) => paths.some((other, j) => i !== j && `${other}.`.startsWith(`${path}.`)));
    return twice ? `${twice} is said twice.` : '';
}

type Patch = { [key: string]: unknown };
/** As JSON merge patch; names such as "__proto__" are names. */
export function patchOf(rows: PatchRow[]): Patch {
    const empty = () => Object.create(null) as Patch;
    const patch = empty();
    for (const row of rows) {
        const names = row.path.split('.');
        const last = names.pop() ?? '';
        const to = names.reduce((at, name) => (at[name] ??= empty()) as Patch, patch);
        to[last] =
            row.type === 'remove' ? null : row.type === 'json' ? JSON.parse(row.value) : readValue(row.type, row.value);
    }
    return patch;
}
