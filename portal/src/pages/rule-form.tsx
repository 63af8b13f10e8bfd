import { useState } from 'preact/hooks';
import { ApiError, enc } from '../api';
import { Check, FormDialog, Rows, type Row } from '../forms';
import {
    calculations,
    fieldOf,
    isNumber,
    periodOf,
    ruleOperators,
    severities,
    type Group,
    type Rule,
    type Severity,
} from '../logic/monitoring';
import { toAction, toActionRow, wrongAction } from '../logic/rule-actions';
import { Area, Choice, notify, Text, useApi } from '../ui';
import { Counted } from './groups';
import { RuleActions } from './rule-actions';

const CONDITIONS_MAX = 10;

/** A rule that is new, or one that is there; what the hub refuses is said at the field that it is about. */
export function RuleForm(props: { rule: Rule | null; groups: Group[]; close: () => void; done: () => void }) {
    const api = useApi();
    const { rule, groups } = props;
    const [name, setName] = useState(rule?.Name ?? '');
    const [description, setDescription] = useState(rule?.Description ?? '');
    const [group, setGroup] = useState(rule?.GroupId ?? groups[0]?.Id ?? '');
    const [severity, setSeverity] = useState<string>(rule?.Severity ?? 'Critical');
    const [calculation, setCalculation] = useState(rule?.Calculation ?? 'Instant');
    const [period, setPeriod] = useState(rule?.TimePeriod ? String(Number(rule.TimePeriod) / 60_000) : '5');
    const [enabled, setEnabled] = useState(rule?.Enabled ?? true);
    const [rows, setRows] = useState<Row[]>(
        rule?.Conditions?.map((one) => ({
            field: one.Field,
            operator:
                ruleOperators.find(([id]) => id.toLowerCase() === one.Operator?.toLowerCase())?.[0] ?? 'GreaterThan',
            value: String(one.Value ?? ''),
        })) ?? [{ field: '', operator: 'GreaterThan', value: '' }],
    );
    const [actions, setActions] = useState(rule?.Actions?.map(toActionRow) ?? []);
    const [wrong, setWrong] = useState<{ field: string; text: string }>({ field: '', text: '' });
    const at = (field: string) => (wrong.field === field ? wrong.text : '');
    const instant = calculation === 'Instant';
    const missing = calculation === 'Missing';
    const send = async () => {
        setWrong({ field: '', text: '' });
        const unfinished = actions.map(wrongAction).find(Boolean);
        if (unfinished) {
            setWrong({ field: 'Actions', text: unfinished });
            throw new Error('An action is not whole yet: see what is marked above.');
        }
        const body = {
            ...(rule && { ETag: rule.ETag }),
            Name: name.trim(),
            Description: description,
            GroupId: group,
            Severity: severity as Severity,
            Calculation: calculation,
            Enabled: enabled,
            ...(!instant && { TimePeriod: periodOf(period.trim()) }),
            Conditions: rows.map((row) =>
                missing
                    ? { Field: row.field?.trim() }
                    : { Field: row.field?.trim(), Operator: row.operator, Value: row.value?.trim() },
            ),
            Actions: actions.map(toAction),
        };
        try {
            await api.ask(`/telemetry/v1/rules${rule ? `/${enc(rule.Id)}` : ''}`, {
                method: rule ? 'PUT' : 'POST',
                body,
            });
        } catch (error) {
            const field = error instanceof ApiError && error.status === 400 ? fieldOf(error.message) : '';
            if (!field) throw error;
            setWrong({ field, text: (error as ApiError).message });
            throw new Error('The hub does not take it: see what is marked above.');
        }
        notify(`${body.Name} is saved.`);
        props.done();
    };
    const selected = groups.find((one) => one.Id === group);
    return (
        <FormDialog title={rule ? `Rule ${rule.Name}` : 'New rule'} action="Save" close={props.close} send={send}>
            <Text label="Name" value={name} set={setName} wrong={at('Name')} />
            <Area label="Description" rows={2} value={description} set={setDescription} wrong={at('Description')} />
            <div class="row">
                <Choice
                    class="grow"
                    label="Device group"
                    value={group}
                    set={setGroup}
                    wrong={at('GroupId')}
                    of={groups.map((one) => [one.Id, one.DisplayName])}
                />
                {api.can('service') && selected && (
                    <p class="quiet">
                        <Counted conditions={selected.Conditions} words /> now
                    </p>
                )}
            </div>
            <div class="row">
                <Choice
                    class="grow"
                    label="Calculation"
                    value={calculation}
                    set={setCalculation}
                    wrong={at('Calculation')}
                    of={calculations}
                />
                {!instant && (
                    <Text
                        label="Window (minutes)"
                        type="number"
                        value={period}
                        set={setPeriod}
                        wrong={at('TimePeriod')}
                    />
                )}
                <Choice
                    label="Severity"
                    value={severity}
                    set={setSeverity}
                    wrong={at('Severity')}
                    of={severities.map((one) => [one, one])}
                />
            </div>
            <Rows
                legend={missing ? 'Fields that are missed' : 'Conditions, all of which hold'}
                hint={
                    missing
                        ? 'Without one any message will do. An alarm comes when a device that has sent falls silent.'
                        : 'A field is a member of the message’s body, or names with dots between.'
                }
                one={missing ? 'field' : 'condition'}
                most={CONDITIONS_MAX}
                fields={[
                    { key: 'field', label: 'Field', wide: true },
                    ...(missing
                        ? []
                        : [
                              { key: 'operator', label: 'Operator', of: ruleOperators },
                              {
                                  key: 'value',
                                  label: 'Value',
                                  wrong: (text: string) => (isNumber(text) ? '' : 'This is no number.'),
                              },
                          ]),
                ]}
                rows={rows}
                set={setRows}
            />
            {at('Conditions') && (
                <p class="wrong" role="alert">
                    {at('Conditions')}
                </p>
            )}
            <RuleActions rule={name.trim()} rows={actions} set={setActions} wrong={at('Actions')} />
            <Check label="Enabled" value={enabled} set={setEnabled} />
        </FormDialog>
    );
}
