// What a rule does with its alarms, as docs/protocols/remote-monitoring.md has it, and as lines of its form. No browser in here.

export interface RuleAction {
    Type: string;
    Parameters: Record<string, unknown>;
}
/** What became of one, as the alarm tells. */
export interface AlarmAction {
    Type: string;
    Status: 'waiting' | 'done' | 'failed';
    Tries: number;
    Error?: string;
}

export const ACTIONS_MAX = 5;
export const actionTypes: [string, string][] = [
    ['Email', 'Send a mail'],
    ['Webhook', 'Call a webhook'],
    ['Method', 'Call a method of the device'],
    ['Message', 'Send a message to the device'],
];
const typeText = (type: string) => actionTypes.find(([id]) => id === type)?.[1] ?? type;

type Kind = 'text' | 'list' | 'json' | 'secret';
export interface ActionField {
    key: string;
    label: string;
    kind: Kind;
    needed?: boolean;
    hint?: string;
}
const values = 'May hold ${deviceId}, ${ruleName}, ${ruleSeverity}, ${alarmDate}, ${alarmUrl}.';
export const actionFields: Record<string, ActionField[]> = {
    Email: [
        { key: 'Recipients', label: 'Recipients', kind: 'list', needed: true, hint: 'Addresses with commas between.' },
        { key: 'Subject', label: 'Subject', kind: 'text', needed: true, hint: values },
        { key: 'Notes', label: 'Notes', kind: 'text' },
        { key: 'Endpoint', label: 'Mail endpoint', kind: 'text', hint: 'Empty: the first one of the hub.' },
    ],
    Webhook: [
        { key: 'Url', label: 'URL', kind: 'text', needed: true },
        { key: 'Secret', label: 'Secret', kind: 'secret', hint: 'whsec_…, to sign by Standard Webhooks; or empty.' },
        { key: 'Body', label: 'Body (JSON)', kind: 'json', hint: `Empty: the alarm. ${values}` },
    ],
    Method: [
        { key: 'Name', label: 'Method', kind: 'text', needed: true },
        { key: 'Payload', label: 'Payload (JSON)', kind: 'json', hint: values },
        { key: 'Module', label: 'Module', kind: 'text', hint: 'Empty: the device itself.' },
    ],
    Message: [{ key: 'Body', label: 'Body (JSON)', kind: 'json', needed: true, hint: values }],
};

/** A line of the form: its type under `type`, each parameter as text. */
export type ActionRow = Record<string, string>;

export const newAction = (rule: string): ActionRow => ({
    type: 'Email',
    Subject: `Alarm: ${rule || '${ruleName}'} was triggered`,
});

export function toActionRow(action: RuleAction): ActionRow {
    const row: ActionRow = { type: action.Type };
    for (const { key, kind } of actionFields[action.Type] ?? []) {
        const value = action.Parameters[key];
        if (value === undefined) continue;
        row[key] =
            kind === 'json'
                ? JSON.stringify(value)
                : Array.isArray(value)
                  ? (value as unknown[]).join(', ')
                  : String(value);
    }
    return row;
}

/** Why a field is not as it has to be; empty: it is. */
export function wrongField(field: ActionField, text: string): string {
    if (!text.trim()) return field.needed ? `${field.label} is missing.` : '';
    if (field.kind !== 'json') return '';
    try {
        JSON.parse(text);
        return '';
    } catch {
        return 'This is not JSON.';
    }
}

export const wrongAction = (row: ActionRow): string =>
    (actionFields[row.type ?? ''] ?? []).map((field) => wrongField(field, row[field.key] ?? '')).find(Boolean) ?? '';

export function toAction(row: ActionRow): RuleAction {
    const Parameters: Record<string, unknown> = {};
    for (const { key, kind } of actionFields[row.type ?? ''] ?? []) {
        const text = (row[key] ?? '').trim();
        if (!text) continue;
        Parameters[key] =
            kind === 'json'
                ? (JSON.parse(text) as unknown)
                : kind === 'list'
                  ? text.split(/[\s,;]+/).filter(Boolean)
                  : text;
    }
    return { Type: row.type ?? '', Parameters };
}

/** "Send a mail: failed after 8 tries: mail.test does not answer in time" */
export function endText(action: AlarmAction): string {
    const tries = `${action.Tries} ${action.Tries === 1 ? 'try' : 'tries'}`;
    const state =
        action.Status === 'done'
            ? 'done'
            : action.Status === 'failed'
              ? `failed after ${tries}`
              : action.Tries
                ? `waits for its next try, after ${tries}`
                : 'waits';
    return `${typeText(action.Type)}: ${state}${action.Error ? `: ${action.Error}` : ''}`;
}
