import { render } from 'preact';
import { App } from './view/app.js';
import './style/base.css';
import './style/stage.css';
import './style/talk.css';

const root = document.getElementById('app');
if (root) render(<App />, root);
