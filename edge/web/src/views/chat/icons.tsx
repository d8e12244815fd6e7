import type { ComponentChildren } from "preact";

/** Small pictures of the chat: badges on a 16 px grid, the rest as in ui/icons. */
function Small(props: { readonly children: ComponentChildren }) {
  return (
    <svg class="badge-icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {props.children}
    </svg>
  );
}

export const BroadcasterIcon = () => (
  <Small>
    <circle cx="8" cy="8" r="2.6" />
    <path class="stroke" d="M4 12.2a6 6 0 0 1 0-8.4M12 3.8a6 6 0 0 1 0 8.4" />
  </Small>
);

export const ModeratorIcon = () => (
  <Small>
    <path d="M8 1.4 13.4 3.3v4.2c0 3.4-2.2 5.8-5.4 7.1-3.2-1.3-5.4-3.7-5.4-7.1V3.3z" />
  </Small>
);

export const VipIcon = () => (
  <Small>
    <path d="M4.2 2.5h7.6L15 6.4 8 14 1 6.4z" />
  </Small>
);

export const SubscriberIcon = () => (
  <Small>
    <path d="m8 1.2 2.1 4.4 4.7.6-3.5 3.3.9 4.8L8 12l-4.2 2.3.9-4.8L1.2 6.2l4.7-.6z" />
  </Small>
);

function Icon(props: { readonly children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {props.children}
    </svg>
  );
}

export const ReplyIcon = () => (
  <Icon>
    <path d="M9.5 6.5 4.5 11.5l5 5M5 11.5h8.5a6 6 0 0 1 6 6v.5" />
  </Icon>
);

export const PeopleIcon = () => (
  <Icon>
    <circle cx="9.5" cy="8.5" r="3.3" />
    <path d="M3.5 19a6 6 0 0 1 12 0M15.5 5.6a3.3 3.3 0 0 1 0 5.8M17.5 14a6 6 0 0 1 3 5" />
  </Icon>
);

export const ShieldIcon = () => (
  <Icon>
    <path d="m12 3.5 7 2.6v5.3c0 4.3-2.8 7.4-7 9.1-4.2-1.7-7-4.8-7-9.1V6.1z" />
  </Icon>
);

export const FoldIcon = () => (
  <Icon>
    <path d="m10 6.5 5.5 5.5-5.5 5.5" />
  </Icon>
);

export const SmileIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="8.3" />
    <path d="M8.5 14.2a4.2 4.2 0 0 0 7 0M9.2 9.8h.01M14.8 9.8h.01" />
  </Icon>
);

export const PinIcon = () => (
  <Icon>
    <path d="M9 4h6l-.7 6 3.2 3.2H6.5L9.7 10zM12 13.2V20" />
  </Icon>
);

export const ChatIcon = () => (
  <Icon>
    <path d="M4.5 5.5h15v10.8h-8L7 20v-3.7H4.5z" />
  </Icon>
);
