// Starts the browser app: theme first (no flash), then addresses, then the recorder's word on who we are.
import './app.css'
import { mount } from 'svelte'
import App from './App.svelte'
import { startRouting } from './lib/router.svelte'
import { start } from './lib/session.svelte'
import { startTheme } from './lib/theme.svelte'

startTheme()
startRouting()
void start()

const target = document.getElementById('app')
if (target) mount(App, { target })
