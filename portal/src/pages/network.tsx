// From where clients may come.
import { useState } from 'preact/hooks';
import type { Doc } from '../api';
import { Check, Rows, SaveRow, useAct, type Row } from '../forms';
import { useHub, type HubState } from '../hub';
import { wrongRows } from '../logic/configurations';
import { Choice, Denied, Failure, notify, Shimmer, useApi } from '../ui';

interface Rule {
    filterName: string;
    action: string;
    ipMask: string;
}

const RULES_MOST = 100;
const rowsOf = (rules: unknown): Row[] =>
    ((rules ?? []) as Rule[]).map(({ filterName, action, ipMask }) => ({ name: filterName, action, mask: ipMask }));
const rulesOf = (rows: Row[]) =>
    rows.map(({ name = '', action = '', mask = '' }) => ({ filterName: name, action, ipMask: mask }));
const wrongMask = (mask: string) => (/^[0-9a-fA-F.:]+(\/\d{1,3})?$/.test(mask) ? '' : 'Such as 203.0.113.0/24');

function wrongRules(rows: Row[]): string {
    const bad = rows.find((row) => wrongMask(row.mask ?? ''));
    return wrongRows(rows, 'rule') || (bad ? `The range of ${bad.name ?? ''} is none.` : '');
}

const nameField = { key: 'name', label: 'Name' };
const maskField = { key: 'mask', label: 'Address or range', wrong: wrongMask };

export function NetworkPage() {
    const api = useApi();
    const hub = useHub();
    if (!api.can('owner')) return <Denied what="see from where clients may come (it needs a policy with all rights)" />;
    const newer = Boolean(hub.data?.properties.networkRuleSets);
    return (
        <>
            <h1>IP filter</h1>
            <Failure text={hub.error} retry={hub.reload} />
            {!hub.data && !hub.error && <Shimmer />}
            {hub.data && (
                <p class="note warn">
                    It counts at once, for you too: who has no rule that lets the own address in gets no answer any
                    more, and only <code>hub.toml</code> on the hub’s machine brings it back.
                </p>
            )}
            {hub.data && (newer ? <Newer key={hub.data.etag} hub={hub} /> : <Classic key={hub.data.etag} hub={hub} />)}
        </>
    );
}

/** In order: the first rule that holds an address decides. */
function Classic(props: { hub: HubState }) {
    const stored = rowsOf(props.hub.data?.properties.ipFilterRules);
    const [rows, setRows] = useState(stored);
    const { busy, failure, act } = useAct();
    return (
        <section class="panel">
            <h2>Rules</h2>
            <Rows
                legend="In their order: the first that holds an address decides; without one it is accepted"
                one="rule"
                most={RULES_MOST}
                ordered
                fields={[
                    nameField,
                    maskField,
                    {
                        key: 'action',
                        label: 'Action',
                        of: [
                            ['Accept', 'Accept'],
                            ['Reject', 'Reject'],
                        ],
                    },
                ]}
                rows={rows}
                set={setRows}
            />
            <Failure text={failure} />
            <SaveRow
                dirty={JSON.stringify(rows) !== JSON.stringify(stored)}
                wrong={wrongRules(rows)}
                busy={busy}
                save={() =>
                    void act(async () => {
                        await props.hub.change({ properties: { ipFilterRules: rulesOf(rows) } });
                        notify('The rules are saved.');
                    })
                }
                discard={() => setRows(stored)}
            />
        </section>
    );
}

/** What is allowed, and what becomes of all else. */
function Newer(props: { hub: HubState }) {
    const sets = (props.hub.data?.properties.networkRuleSets ?? {}) as Doc;
    const was = {
        rows: rowsOf(sets.ipRules),
        rest: String(sets.defaultAction),
        events: sets.applyToBuiltInEventHubEndpoint === true,
    };
    const [now, setNow] = useState(was);
    const { busy, failure, act } = useAct();
    const save = async () => {
        const networkRuleSets = {
            defaultAction: now.rest,
            applyToBuiltInEventHubEndpoint: now.events,
            ipRules: rulesOf(now.rows.map((row) => ({ ...row, action: 'Allow' }))),
        };
        await props.hub.change({ properties: { networkRuleSets } });
        notify('The rules are saved.');
    };
    return (
        <section class="panel">
            <h2>Rules</h2>
            <Rows
                legend="What is allowed"
                one="rule"
                most={RULES_MOST}
                fields={[nameField, maskField]}
                rows={now.rows}
                set={(rows) => setNow({ ...now, rows })}
            />
            <Choice
                label="All other addresses"
                value={now.rest}
                set={(rest) => setNow({ ...now, rest })}
                of={[
                    ['Allow', 'are allowed'],
                    ['Deny', 'are denied'],
                ]}
            />
            <Check label="Also where events are read" value={now.events} set={(events) => setNow({ ...now, events })} />
            <Failure text={failure} />
            <SaveRow
                dirty={JSON.stringify(now) !== JSON.stringify(was)}
                wrong={wrongRules(now.rows)}
                busy={busy}
                save={() => void act(save)}
                discard={() => setNow(was)}
            />
        </section>
    );
}
