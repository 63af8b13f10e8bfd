// Files that a device has uploaded to the hub's own blob service.
import { useState } from 'preact/hooks';
import { ApiError, enc, type Api, type Doc } from '../api';
import { DeleteDialog, Pager } from '../forms';
import { useHub } from '../hub';
import { readBlobs, signatureQuery, signedText, sizeText } from '../logic/blobs';
import { Denied, Failure, messageOf, notify, RowButton, Shimmer, Table, useApi, useLoad, When } from '../ui';

const PER_PAGE = 50;
const SIGNED_MS = 600_000;
const SAVED_MOST = 512 << 20; // bytes: a browser holds them in memory

/** Asks the blob service: not with the hub's token, but with a signature for this. */
async function askBlobs(api: Api, container: string, rights: string, path: string, query: string, method = 'GET') {
    const until = new Date(Date.now() + SIGNED_MS).toISOString().replace(/\.\d+/, '');
    const { session } = api;
    const signature = await session.sign(signedText(session.account, container, rights, until));
    const signed = signatureQuery(rights, until, signature);
    const answer = await fetch(`/${enc(container)}${path}?${query}${query && '&'}${signed}`, {
        method,
        credentials: 'omit',
        cache: 'no-store',
        redirect: 'error',
        headers: { 'x-ms-version': '2021-08-06' },
    });
    if (answer.ok) return answer;
    const code = answer.headers.get('x-ms-error-code') ?? '';
    throw new ApiError(`The blob service answered ${answer.status} ${code}.`, answer.status, code);
}

const pathOf = (name: string) => '/' + name.split('/').map(enc).join('/');

export function FilesTab(props: { device: string }) {
    const api = useApi();
    const hub = useHub();
    const may = api.can('read') && api.can('write') && api.can('service');
    if (!may) return <Denied what="read files (it needs RegistryRead, RegistryWrite and ServiceConnect)" />;
    if (hub.loading && !hub.data) return <Shimmer />;
    const storage = (hub.data?.properties.storageEndpoints ?? {}) as Doc;
    const account = (storage.$default ?? {}) as Doc;
    if (account.connectionString)
        return (
            <p class="note">
                This hub’s devices upload to a storage account, container <code>{String(account.containerName)}</code>;
                its own tools show what is there.
            </p>
        );
    return <Files device={props.device} container={String(account.containerName ?? 'uploads')} />;
}

function Files(props: { device: string; container: string }) {
    const api = useApi();
    const prefix = `${props.device}/`;
    const [from, setFrom] = useState<string | null>(null);
    const [removed, setRemoved] = useState('');
    const list = useLoad(async () => {
        const query = new URLSearchParams({
            restype: 'container',
            comp: 'list',
            prefix,
            maxresults: String(PER_PAGE),
            ...(from && { marker: from }),
        });
        try {
            return readBlobs(await (await askBlobs(api, props.container, 'l', '', String(query))).text());
        } catch (error) {
            // Nobody has uploaded anything: the container comes with the first file.
            if (error instanceof ApiError && error.code === 'ContainerNotFound') return { blobs: [], next: '' };
            throw error;
        }
    }, [props.device, from]);
    const short = (name: string) => name.slice(prefix.length);
    const save = async (name: string) => {
        try {
            const answer = await askBlobs(api, props.container, 'r', pathOf(name), '');
            // As bytes and nothing else: what a device has written is no page of ours.
            const url = URL.createObjectURL(
                new Blob([await answer.arrayBuffer()], { type: 'application/octet-stream' }),
            );
            const link = document.createElement('a');
            link.href = url;
            link.download = short(name).replace(/^.*\//, '') || 'file';
            link.click();
            setTimeout(() => URL.revokeObjectURL(url), 60_000);
        } catch (error) {
            notify(messageOf(error), true);
        }
    };
    return (
        <>
            <div class="actions">
                <button type="button" onClick={list.reload}>
                    Refresh
                </button>
            </div>
            <Failure text={list.error} retry={list.reload} />
            <Table
                label="Files"
                rows={list.data?.blobs ?? []}
                loading={list.loading}
                empty="The device has uploaded nothing."
                columns={[
                    { name: 'Name', cell: (file) => <span title={short(file.name)}>{short(file.name)}</span> },
                    { name: 'Size', number: true, cell: (file) => sizeText(file.size) },
                    { name: 'Type', cell: (file) => file.type || '--' },
                    {
                        name: 'Modified',
                        cell: (file) => {
                            const date = new Date(file.modified);
                            return <When at={Number.isNaN(date.getTime()) ? '' : date.toISOString()} />;
                        },
                    },
                    {
                        name: 'Actions',
                        cell: (file) => (
                            <span class="actions">
                                <button
                                    type="button"
                                    class="small"
                                    disabled={file.size > SAVED_MOST}
                                    aria-label={`Save ${short(file.name)}`}
                                    onClick={() => void save(file.name)}
                                >
                                    {file.size > SAVED_MOST ? 'Too large here' : 'Save'}
                                </button>
                                <RowButton
                                    act="Delete"
                                    of={short(file.name)}
                                    danger
                                    click={() => setRemoved(file.name)}
                                />
                            </span>
                        ),
                    },
                ]}
            />
            <Pager from={from} next={list.data?.next} set={setFrom} />
            {removed && (
                <DeleteDialog
                    what={short(removed)}
                    close={() => setRemoved('')}
                    send={async () => {
                        await askBlobs(api, props.container, 'd', pathOf(removed), '', 'DELETE');
                        notify(`${short(removed)} is deleted.`);
                        list.reload();
                    }}
                >
                    <p class="note warn">It cannot be undone.</p>
                </DeleteDialog>
            )}
        </>
    );
}
