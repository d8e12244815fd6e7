export function Missing() {
  return (
    <section class="message-page">
      <h1>There is nothing at this address</h1>
      <p>It may have been mistyped. Channel names have letters, digits, - and _.</p>
      <a class="button" href="/">
        See what is live
      </a>
    </section>
  );
}
