// The verifier of evidence packages in one file: no node, no network.
import { mount } from 'svelte';
import '../src/app.css';
import Verifier from './Verifier.svelte';

mount(Verifier, { target: document.getElementById('app') as HTMLElement });
