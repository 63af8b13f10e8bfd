// The hub as a resource: what only a policy with all rights sees.
import type { Doc } from './api';
import { useApi, useLoad, type Loaded } from './ui';

export interface Hub extends Doc {
    name: string;
    etag: string;
    properties: Doc;
}

/** This hub's document; null for who may not see it. */
export function useHub(): Loaded<Hub | null> {
    const api = useApi();
    return useLoad(async () => {
        if (!api.can('owner')) return null;
        const list = await api.ask<{ value: Hub[] }>('/subscriptions/s/providers/Microsoft.Devices/IotHubs');
        return list.value[0] ?? null;
    }, []);
}
