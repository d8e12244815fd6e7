/** The newest ids of something that may come more than once. */
export class RecentIds {
  private readonly ids = new Set<string>();

  constructor(private readonly most = 500) {}

  /** Takes an id; whether it is new. */
  add(id: string): boolean {
    if (this.ids.has(id)) return false;
    this.ids.add(id);
    const [oldest] = this.ids;
    if (this.ids.size > this.most && oldest !== undefined) this.ids.delete(oldest);
    return true;
  }
}
