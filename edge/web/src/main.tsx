import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/home.css";
import "./styles/watch.css";
import "./styles/player.css";
import "./styles/chat.css";
import "./styles/dvr.css";
import "./styles/settings.css";
import "./styles/embed.css";
import "./styles/chat_bars.css";
import "./styles/chat_sheets.css";
import { render } from "preact";
import { App } from "./app";
import { startRouter } from "./lib/router";
import { startTheme } from "./lib/theme";

startTheme();
startRouter();

const root = document.getElementById("app");
if (root !== null) render(<App />, root);
