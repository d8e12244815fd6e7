import { type Route, route } from "./lib/router";
import { theme, toggleTheme } from "./lib/theme";
import { IconButton } from "./ui/icon_button";
import { Mark, MoonIcon, SunIcon } from "./ui/icons";
import { Later } from "./ui/later";
import { Embed } from "./views/embed";
import { EmbedChat } from "./views/embed_chat";
import { Home } from "./views/home";
import { Missing } from "./views/missing";
import { Watch } from "./views/watch";

const loadStudio = () => import("./views/studio").then((module) => module.Studio);

function view(shown: Route) {
  switch (shown.view) {
    case "home":
      return <Home />;
    case "studio":
      return <Later name="The studio" load={loadStudio} />;
    case "watch":
      return <Watch key={shown.channel} channel={shown.channel} />;
    case "embed":
      return <Embed key={shown.channel} channel={shown.channel} />;
    case "embed_chat":
      return <EmbedChat key={shown.channel} channel={shown.channel} />;
    case "missing":
      return <Missing />;
  }
}

export function App() {
  const shown = route.value;
  if (shown.view === "embed" || shown.view === "embed_chat") {
    return <main class="view view-embed">{view(shown)}</main>;
  }
  const dark = theme.value === "dark";
  return (
    <>
      <a class="skip-link" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/" aria-label="Nearcast, live channels">
          <Mark />
          <span>Nearcast</span>
        </a>
        <nav class="top-nav" aria-label="Pages">
          <a href="/" aria-current={shown.view === "home" ? "page" : undefined}>
            Live now
          </a>
          <a href="/studio" aria-current={shown.view === "studio" ? "page" : undefined}>
            Go live
          </a>
        </nav>
        <IconButton label={dark ? "Light colours" : "Dark colours"} onClick={toggleTheme}>
          {dark ? <SunIcon /> : <MoonIcon />}
        </IconButton>
      </header>
      <main id="main" class={`view view-${shown.view}`} tabIndex={-1}>
        {view(shown)}
      </main>
    </>
  );
}
