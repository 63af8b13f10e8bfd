// The hub as a resource: what only a policy with all rights sees and changes.
import { useEffect, useState } from 'preact/hooks';
import type { Doc } from './api';
import { useApi, useLoad, type Loaded } from './ui';

export interface Hub extends Doc {
    name: string;
    etag: string;
    properties: Doc;
}

export interface HubState extends Loaded<Hub | null> {
    /** Changes what is named of the document; refused where somebody else has changed it since it was read. */
    change: (what: Doc) => Promise<void>;
}

/** This hub's document; null for who may not see it. */
export function useHub(): HubState {
    const api = useApi();
    const loaded = useLoad(async () => {
        if (!api.can('owner')) return null;
        const list = await api.ask<{ value: Hub[] }>('/subscriptions/s/providers/Microsoft.Devices/IotHubs');
        return list.value[0] ?? null;
    }, []);
    const [changed, setChanged] = useState<Hub | null>(null);
    useEffect(() => setChanged(null), [loaded.data]);
    const hub = changed ?? loaded.data;
    const change = async (what: Doc) => {
        if (!hub) return;
        const headers = { 'If-Match': `"${hub.etag}"` };
        try {
            setChanged(await api.arm<Hub>(hub.name, '', { method: 'PUT', headers, body: what }));
        } catch (error) {
            // The line of a file that only the hub has seen says nothing here.
            if (error instanceof Error) error.message = error.message.replace(/^\S*\.toml:\d+: (hub\[\d+\]\.)?/, '');
            throw error;
        }
    };
    return { ...loaded, data: hub, change };
}
