import {
    ACTIONS_MAX,
    actionFields,
    actionTypes,
    newAction,
    wrongField,
    type ActionField,
    type ActionRow,
} from '../logic/rule-actions';
import { Area, Choice, Text } from '../ui';

/** What a rule does with each of its alarms: a group of fields for each action. */
export function RuleActions(props: {
    rule: string;
    rows: ActionRow[];
    set: (rows: ActionRow[]) => void;
    wrong: string;
}) {
    const change = (at: number, row: ActionRow) => props.set(props.rows.map((one, i) => (i === at ? row : one)));
    return (
        <fieldset class="rows">
            <legend>Actions for each alarm</legend>
            <p class="quiet">They are done at least once, and tried for some hours. An alarm tells how they went.</p>
            {props.rows.map((row, i) => (
                <div key={i} class="action" role="group" aria-label={`action ${i + 1}`}>
                    <div class="row">
                        <Choice
                            class="grow"
                            label="What"
                            value={row.type ?? ''}
                            set={(type) => change(i, { ...row, type })}
                            of={actionTypes}
                        />
                        <button
                            type="button"
                            class="danger"
                            aria-label={`Remove action ${i + 1}`}
                            onClick={() => props.set(props.rows.filter((_, other) => other !== i))}
                        >
                            Remove
                        </button>
                    </div>
                    {(actionFields[row.type ?? ''] ?? []).map((field) => (
                        <Parameter
                            key={field.key}
                            field={field}
                            value={row[field.key] ?? ''}
                            set={(value) => change(i, { ...row, [field.key]: value })}
                        />
                    ))}
                </div>
            ))}
            {props.wrong && (
                <p class="wrong" role="alert">
                    {props.wrong}
                </p>
            )}
            {props.rows.length < ACTIONS_MAX && (
                <div class="actions">
                    <button
                        type="button"
                        class="small"
                        onClick={() => props.set([...props.rows, newAction(props.rule)])}
                    >
                        Add an action
                    </button>
                </div>
            )}
        </fieldset>
    );
}

function Parameter(props: { field: ActionField; value: string; set: (value: string) => void }) {
    const { label, kind, hint } = props.field;
    const common = { label, hint, value: props.value, set: props.set };
    const wrong = props.value ? wrongField(props.field, props.value) : '';
    if (kind === 'json') return <Area {...common} rows={2} wrong={wrong} />;
    return <Text {...common} type={kind === 'secret' ? 'password' : undefined} />;
}
