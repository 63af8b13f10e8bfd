import { useState } from 'preact/hooks';
import { enc, literal } from '../api';
import { FormDialog, Rows, type Row } from '../forms';
import { patchOf, patchTypes, wrongPatch, type PatchRow } from '../logic/monitoring';
import { go, href } from '../route';
import { Area, Choice, Text, useApi, useLoad } from '../ui';

const kinds: [string, string][] = [
    ['tags', 'Change tags'],
    ['desired', 'Change desired properties'],
    ['method', 'Call a direct method'],
];
const SECONDS_MAX = 14 * 86400;

const whole = (text: string, least: number, most: number) =>
    /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most ? '' : `${least} to ${most} seconds`;

/** A job for devices that somebody has chosen, or for all that a list is of. */
export function MassAction(props: { ids: string[]; condition: string; close: () => void }) {
    const api = useApi();
    const condition = props.ids.length ? `deviceId IN [${props.ids.map(literal).join(', ')}]` : props.condition || '*';
    const counted = useLoad(
        (signal) =>
            api.query(
                `SELECT COUNT() AS number FROM devices${condition === '*' ? '' : ` WHERE ${condition}`}`,
                null,
                1,
                signal,
            ),
        [condition],
    );
    const [kind, setKind] = useState('tags');
    const [id, setId] = useState('');
    const [rows, setRows] = useState<Row[]>([{ path: '', type: 'text', value: '' }]);
    const [method, setMethod] = useState('');
    const [payload, setPayload] = useState('{}');
    const [wait, setWait] = useState('30');
    const [most, setMost] = useState('300');
    const named = /^[\w.:-]{1,64}$/.test(id) ? '' : 'letters, digits and - . _ :, at most 64';
    let badPayload = '';
    try {
        JSON.parse(payload);
    } catch {
        badPayload = 'This is not JSON.';
    }
    const wrong =
        kind === 'method' ? (method.trim() ? badPayload : 'A method has a name.') : wrongPatch(rows as PatchRow[]);
    const times = whole(most, 1, SECONDS_MAX) || (kind === 'method' ? whole(wait, 5, 300) : '');
    const count = counted.data ? Number(counted.data.items[0]?.number ?? 0) : null;
    const send = async () => {
        const patch = () => patchOf(rows as PatchRow[]);
        await api.ask(`/jobs/v2/${enc(id)}`, {
            method: 'PUT',
            body: {
                jobId: id,
                queryCondition: condition,
                startTime: new Date().toISOString(),
                maxExecutionTimeInSeconds: Number(most),
                ...(kind === 'method'
                    ? {
                          type: 'scheduleDeviceMethod',
                          cloudToDeviceMethod: {
                              methodName: method.trim(),
                              payload: JSON.parse(payload) as unknown,
                              responseTimeoutInSeconds: Number(wait),
                          },
                      }
                    : {
                          type: 'scheduleUpdateTwin',
                          updateTwin: {
                              etag: '*',
                              ...(kind === 'tags' ? { tags: patch() } : { properties: { desired: patch() } }),
                          },
                      }),
            },
        });
        go(href('jobs', id));
    };
    return (
        <FormDialog
            title={`A job for ${count === null ? 'many' : count.toLocaleString()} device${count === 1 ? '' : 's'}`}
            action="Start the job"
            ready={!named && !wrong && !times && count !== 0}
            close={props.close}
            send={send}
        >
            {props.ids.length ? (
                <ul class="list" tabIndex={0} aria-label="Devices of the job">
                    {props.ids.map((one) => (
                        <li key={one}>{one}</li>
                    ))}
                </ul>
            ) : (
                <p class="note warn">
                    {props.condition ? (
                        <>
                            All devices of the list: <code>{props.condition}</code>
                        </>
                    ) : (
                        'All devices of this hub. Choose some in the list, or narrow it, for fewer.'
                    )}
                </p>
            )}
            <Choice label="What" value={kind} set={setKind} of={kinds} />
            <Text label="Name of the job" value={id} set={setId} wrong={id && named} required />
            {kind === 'method' ? (
                <>
                    <Text label="Method name" value={method} set={setMethod} required />
                    <Area label="Payload (JSON)" rows={3} value={payload} set={setPayload} wrong={badPayload} />
                    <Text label="Wait for each answer, s" value={wait} set={setWait} wrong={whole(wait, 5, 300)} />
                </>
            ) : (
                <Rows
                    legend={kind === 'tags' ? 'Tags' : 'Desired properties'}
                    hint="Names with dots between are within each other: site.floor"
                    one="change"
                    fields={[
                        { key: 'path', label: 'Name', wide: true },
                        { key: 'type', label: 'Type', of: patchTypes },
                        { key: 'value', label: 'Value' },
                    ]}
                    rows={rows}
                    set={setRows}
                />
            )}
            <Text
                label="It ends after, s"
                value={most}
                set={setMost}
                wrong={whole(most, 1, SECONDS_MAX)}
                hint="Devices that are not done by then have failed."
            />
            {wrong && (
                <p class="quiet" role="status">
                    {wrong}
                </p>
            )}
        </FormDialog>
    );
}
