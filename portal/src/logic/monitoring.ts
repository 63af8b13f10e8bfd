// Remote monitoring as docs/protocols/remote-monitoring.md has it: groups, rules, alarms, and what is counted of them. No browser in here.
import { literal } from '../api';

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
    return count === 60 ? '1 hour' : `${count} minute${count === 1 ? '' : 's'}`;
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
