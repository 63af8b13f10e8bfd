// JSON as people edit it: where a mistake is, what has changed, and the patch that says so. No browser in here.

export type Value = null | boolean | number | string | Value[] | { [key: string]: Value };
export type Tree = { [key: string]: Value };

const isTree = (value: Value | undefined): value is Tree =>
    typeof value === 'object' && value !== null && !Array.isArray(value);

export interface Mistake {
    message: string;
    line: number; // from 1; 0: unknown
    column: number;
}

/** The object that a text is, or why it is none. */
export function readObject(text: string): { value: Tree } | { mistake: Mistake } {
    try {
        const value = JSON.parse(text) as Value;
        if (isTree(value)) return { value };
        return { mistake: { message: 'An object is expected: { … }', line: 1, column: 1 } };
    } catch (error) {
        const said = error instanceof Error ? error.message : String(error);
        const position = /position (\d+)/.exec(said);
        const message = said.replace(/ (in JSON )?at position.*$/s, '').replace(/^JSON\.parse: /, '');
        if (!position) return { mistake: { message, line: 0, column: 0 } };
        const before = text.slice(0, Number(position[1])).split('\n');
        return { mistake: { message, line: before.length, column: (before.at(-1) ?? '').length + 1 } };
    }
}

/** As JSON merge patch: what makes `to` of `from`; null deletes. */
export function mergePatch(from: Tree, to: Tree): Tree {
    const patch: Tree = {};
    for (const key of Object.keys(from)) if (!(key in to)) put(patch, key, null);
    for (const [key, value] of Object.entries(to)) {
        const old = Object.hasOwn(from, key) ? from[key] : undefined;
        if (isTree(value) && isTree(old)) {
            const inner = mergePatch(old, value);
            if (Object.keys(inner).length) put(patch, key, inner);
        } else if (JSON.stringify(value) !== JSON.stringify(old)) {
            put(patch, key, value);
        }
    }
    return patch;
}

/** A name may be "__proto__". */
function put(tree: Tree, key: string, value: Value) {
    Object.defineProperty(tree, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Without what the hub adds to a twin's section. */
export function withoutMetadata(section: Value | undefined): Tree {
    const kept: Tree = {};
    if (isTree(section))
        for (const [key, value] of Object.entries(section))
            if (key !== '$metadata' && key !== '$version') put(kept, key, value);
    return kept;
}

export interface DiffLine {
    sign: ' ' | '+' | '-';
    text: string;
}

const DIFF_MAX = 2000; // lines; beyond, all is said to be replaced

/** Line by line, by the longest common subsequence. */
export function diffLines(before: string, after: string): DiffLine[] {
    const a = before.split('\n');
    const b = after.split('\n');
    const said = (sign: DiffLine['sign']) => (text: string) => ({ sign, text });
    if (a.length > DIFF_MAX || b.length > DIFF_MAX) return [...a.map(said('-')), ...b.map(said('+'))];
    const width = b.length + 1;
    const length = new Uint16Array((a.length + 1) * width);
    const at = (i: number, j: number) => length[i * width + j] ?? 0;
    for (let i = a.length - 1; i >= 0; i--)
        for (let j = b.length - 1; j >= 0; j--)
            length[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    const lines: DiffLine[] = [];
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
        if (i < a.length && j < b.length && a[i] === b[j]) {
            lines.push({ sign: ' ', text: a[i++] ?? '' });
            j++;
        } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
            lines.push({ sign: '-', text: a[i++] ?? '' });
        } else {
            lines.push({ sign: '+', text: b[j++] ?? '' });
        }
    }
    return lines;
}
