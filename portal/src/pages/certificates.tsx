// CA certificates: whose devices are known by what these have signed.
import { useState } from 'preact/hooks';
import { enc, type Doc } from '../api';
import { Check, DeleteDialog, FormDialog } from '../forms';
import {
    Area,
    Copy,
    Denied,
    Failure,
    Field,
    notify,
    PageHead,
    Pill,
    RowButton,
    Shimmer,
    Table,
    Text,
    useApi,
    useLoad,
    When,
} from '../ui';

interface Certificate {
    name: string;
    properties: {
        subject: string;
        expiry: string;
        thumbprint: string;
        isVerified: boolean;
        configured: boolean; // in hub.toml
        created: string;
        updated: string;
    };
}

const PEM = /-----BEGIN CERTIFICATE-----/;
const pathOf = (name: string) => `/certificates/${enc(name)}`;

/** HTTP's times, as the others are. */
function time(text: string): string {
    const date = new Date(text);
    return Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

export function CertificatesPage() {
    const api = useApi();
    const list = useLoad(
        () =>
            api.can('read')
                ? api.ask<{ value: Certificate[] }>('/certificates')
                : Promise.resolve({ value: [] as Certificate[] }),
        [],
    );
    const [adding, setAdding] = useState(false);
    const [verified, setVerified] = useState('');
    const [removed, setRemoved] = useState('');
    if (!api.can('read')) return <Denied what="see certificates (it lacks RegistryRead)" />;
    const expired = (one: Certificate) => new Date(one.properties.expiry).getTime() < Date.now();
    return (
        <>
            <PageHead title="Certificates" reload={list.reload}>
                {api.can('write') && (
                    <button type="button" class="first" onClick={() => setAdding(true)}>
                        Add a certificate
                    </button>
                )}
            </PageHead>
            <p class="quiet">
                Devices whose certificate one of these CAs has signed are known by its common name. A CA counts when it
                is verified.
            </p>
            <Failure text={list.error} retry={list.reload} />
            <Table
                label="Certificates"
                rows={list.data?.value ?? []}
                loading={list.loading}
                empty="There are no certificates."
                columns={[
                    { name: 'Name', cell: (one) => one.name },
                    {
                        name: 'Status',
                        cell: (one) =>
                            expired(one) ? (
                                <Pill kind="bad">Expired</Pill>
                            ) : one.properties.isVerified ? (
                                <Pill kind="good">Verified</Pill>
                            ) : (
                                <Pill kind="warn">Unverified</Pill>
                            ),
                    },
                    { name: 'Subject', cell: (one) => one.properties.subject },
                    { name: 'Expires', cell: (one) => <When at={time(one.properties.expiry)} /> },
                    {
                        name: 'Actions',
                        cell: (one) =>
                            one.properties.configured ? (
                                <span class="quiet">in hub.toml</span>
                            ) : api.can('write') ? (
                                <span class="actions">
                                    {!one.properties.isVerified && (
                                        <RowButton act="Verify" of={one.name} click={() => setVerified(one.name)} />
                                    )}
                                    <RowButton act="Delete" of={one.name} danger click={() => setRemoved(one.name)} />
                                </span>
                            ) : (
                                ''
                            ),
                    },
                    { name: 'Thumbprint', cell: (one) => <code>{one.properties.thumbprint}</code> },
                    { name: 'Created', cell: (one) => <When at={time(one.properties.created)} /> },
                ]}
            />
            {adding && <NewCertificate close={() => setAdding(false)} done={list.reload} />}
            {verified && <Verify name={verified} close={() => setVerified('')} done={list.reload} />}
            {removed && (
                <DeleteDialog
                    what={removed}
                    close={() => setRemoved('')}
                    send={async () => {
                        await api.ask(pathOf(removed), { method: 'DELETE' });
                        notify(`${removed} is deleted.`);
                        list.reload();
                    }}
                >
                    <p class="note warn">
                        Devices that it vouches for do not get in any more; who is connected stays until then.
                    </p>
                </DeleteDialog>
            )}
        </>
    );
}

/** A certificate out of a file, or pasted. */
function Pem(props: { label: string; value: string; set: (pem: string) => void }) {
    const wrong =
        props.value.trim() && !PEM.test(props.value) ? 'A PEM file begins with -----BEGIN CERTIFICATE-----' : '';
    return (
        <>
            <Field label={`${props.label}: file`}>
                {(id) => (
                    <input
                        id={id}
                        type="file"
                        accept=".pem,.crt,.cer"
                        onChange={(event) => {
                            const file = event.currentTarget.files?.[0];
                            if (file) void file.text().then(props.set);
                        }}
                    />
                )}
            </Field>
            <Area label={`${props.label} (PEM)`} rows={7} value={props.value} set={props.set} wrong={wrong} />
        </>
    );
}

function NewCertificate(props: { close: () => void; done: () => void }) {
    const api = useApi();
    const [name, setName] = useState('');
    const [pem, setPem] = useState('');
    const [isVerified, setIsVerified] = useState(false);
    const wrong = /^[A-Za-z0-9._-]{1,64}$/.test(name) ? '' : '1 to 64 letters, digits and - . _';
    return (
        <FormDialog
            title="Add a certificate"
            action="Add"
            ready={!wrong && PEM.test(pem)}
            close={props.close}
            send={async () => {
                await api.ask(pathOf(name), { method: 'PUT', body: { properties: { certificate: pem, isVerified } } });
                notify(`${name} is there.`);
                props.done();
            }}
        >
            <Text label="Name" value={name} set={setName} required wrong={name ? wrong : ''} />
            <Pem label="CA certificate" value={pem} set={setPem} />
            <Check label="It is verified: the CA is ours, and needs no proof" value={isVerified} set={setIsVerified} />
        </FormDialog>
    );
}

function Verify(props: { name: string; close: () => void; done: () => void }) {
    const api = useApi();
    const [proof, setProof] = useState('');
    const code = useLoad(async () => {
        const told = await api.ask(`${pathOf(props.name)}/generateVerificationCode`, { method: 'POST' });
        return String((told.properties as Doc).verificationCode);
    }, [props.name]);
    return (
        <FormDialog
            title={`Verify ${props.name}`}
            action="Verify"
            ready={PEM.test(proof)}
            close={props.close}
            send={async () => {
                await api.ask(`${pathOf(props.name)}/verify`, { method: 'POST', body: { certificate: proof } });
                notify(`${props.name} is verified.`);
                props.done();
            }}
        >
            <Failure text={code.error} retry={code.reload} />
            {code.data ? (
                <>
                    <p>Have the CA sign a certificate with this common name, and give it here.</p>
                    <p class="actions">
                        <code>{code.data}</code>
                        <Copy text={code.data} label="verification code" />
                    </p>
                </>
            ) : (
                !code.error && <Shimmer lines={2} />
            )}
            <Pem label="Proof" value={proof} set={setProof} />
        </FormDialog>
    );
}
