import type { ComponentChildren } from "preact";

/** The icons: 24 px grid, strokes of 1.75, drawn for Nearcast. They are decoration: buttons carry the words. */
function Icon(props: { readonly children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {props.children}
    </svg>
  );
}

export const PlayIcon = () => (
  <Icon>
    <path
      class="fill"
      d="M8 5.6v12.8c0 .7.8 1.1 1.4.7l9.6-6.4a.9.9 0 0 0 0-1.4L9.4 4.9c-.6-.4-1.4 0-1.4.7z"
    />
  </Icon>
);

export const PauseIcon = () => (
  <Icon>
    <path class="fill" d="M7 5h3.2v14H7zM13.8 5H17v14h-3.2z" />
  </Icon>
);

export const SoundIcon = () => (
  <Icon>
    <path class="fill" d="M4 9.5h3.2L12 5.4v13.2l-4.8-4.1H4z" />
    <path d="M15.2 9a4.2 4.2 0 0 1 0 6M17.9 6.5a7.8 7.8 0 0 1 0 11" />
  </Icon>
);

export const MutedIcon = () => (
  <Icon>
    <path class="fill" d="M4 9.5h3.2L12 5.4v13.2l-4.8-4.1H4z" />
    <path d="m15.5 9.5 5 5m0-5-5 5" />
  </Icon>
);

export const SettingsIcon = () => (
  <Icon>
    <path
      d="M10.4 3.8h3.2l.5 2.4 1.6.7 2.1-1.3 2.3 2.3-1.3 2.1.7 1.6 2.4.5v3.2l-2.4.5-.7 1.6 1.3 2.1-2.3 2.3-2.1-1.3-1.6.7-.5 2.4h-3.2l-.5-2.4-1.6-.7-2.1 1.3-2.3-2.3 1.3-2.1-.7-1.6-2.4-.5v-3.2l2.4-.5.7-1.6-1.3-2.1 2.3-2.3 2.1 1.3 1.6-.7z"
      transform="translate(1.2 .5) scale(.9)"
    />
    <circle cx="12" cy="12" r="2.9" />
  </Icon>
);

export const CaptionsIcon = () => (
  <Icon>
    <rect x="3" y="5.5" width="18" height="13" rx="2.2" />
    <path d="M10.2 10.4a2 2 0 1 0 0 3.2M16.9 10.4a2 2 0 1 0 0 3.2" />
  </Icon>
);

export const ListenIcon = () => (
  <Icon>
    <path d="M4.5 15v-2.5a7.5 7.5 0 0 1 15 0V15" />
    <rect class="fill" x="3.6" y="13.4" width="4" height="6.2" rx="1.6" />
    <rect class="fill" x="16.4" y="13.4" width="4" height="6.2" rx="1.6" />
  </Icon>
);

export const StatsIcon = () => (
  <Icon>
    <path d="M4 19.5h16M6.5 16v-4M11 16V6M15.5 16V9.5M19 16v-3" />
  </Icon>
);

export const PipIcon = () => (
  <Icon>
    <rect x="3.5" y="5" width="17" height="14" rx="2" />
    <rect class="fill" x="12" y="11.6" width="6" height="4.8" rx="0.8" />
  </Icon>
);

export const TheatreIcon = () => (
  <Icon>
    <rect x="3" y="6.5" width="18" height="11" rx="2" />
    <path d="M15.5 6.5v11" />
  </Icon>
);

export const FullIcon = () => (
  <Icon>
    <path d="M4.5 9V4.5H9M15 4.5h4.5V9M19.5 15v4.5H15M9 19.5H4.5V15" />
  </Icon>
);

export const HelpIcon = () => (
  <Icon>
    <rect x="3" y="6" width="18" height="12" rx="2.2" />
    <path d="M6.8 9.8h.01M10.3 9.8h.01M13.8 9.8h.01M17.2 9.8h.01M8 14.3h8" />
  </Icon>
);

export const CloseIcon = () => (
  <Icon>
    <path d="m6.5 6.5 11 11m0-11-11 11" />
  </Icon>
);

export const SendIcon = () => (
  <Icon>
    <path d="M12 19V5.5M6 11l6-6 6 6" />
  </Icon>
);

export const DownIcon = () => (
  <Icon>
    <path d="M12 5v13.5M6 13l6 6 6-6" />
  </Icon>
);

export const CopyIcon = () => (
  <Icon>
    <rect x="8.5" y="8.5" width="11" height="11" rx="2" />
    <path d="M15.5 5.5v-.3a1.7 1.7 0 0 0-1.7-1.7H5.7A2.2 2.2 0 0 0 3.5 5.7v8.1c0 .9.8 1.7 1.7 1.7h.3" />
  </Icon>
);

export const CheckIcon = () => (
  <Icon>
    <path d="m5 12.8 4.4 4.4L19 7.4" />
  </Icon>
);

export const SunIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="3.8" />
    <path d="M12 3v1.8M12 19.2V21M3 12h1.8M19.2 12H21M5.6 5.6l1.3 1.3M17.1 17.1l1.3 1.3M18.4 5.6l-1.3 1.3M6.9 17.1l-1.3 1.3" />
  </Icon>
);

export const MoonIcon = () => (
  <Icon>
    <path d="M19.6 14.2A8 8 0 0 1 9.8 4.4a8 8 0 1 0 9.8 9.8z" />
  </Icon>
);

export const EyeIcon = () => (
  <Icon>
    <path d="M2.8 12S6 5.8 12 5.8 21.2 12 21.2 12 18 18.2 12 18.2 2.8 12 2.8 12z" />
    <circle cx="12" cy="12" r="2.8" />
  </Icon>
);

export const ShareIcon = () => (
  <Icon>
    <path d="M12 14.5V4M8 7.5 12 3.8l4 3.7M6.5 11H6a1.8 1.8 0 0 0-1.8 1.8V18A1.8 1.8 0 0 0 6 19.8h12a1.8 1.8 0 0 0 1.8-1.8v-5.2A1.8 1.8 0 0 0 18 11h-.5" />
  </Icon>
);

/** The mark: a broadcast's ring, open on one side, and the viewer close inside it. */
export const Mark = () => (
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <path class="ring" d="M27.2 13.4A12 12 0 1 0 24.5 24.5" />
    <circle class="dot" cx="20.6" cy="18.6" r="5.4" />
  </svg>
);
