const value = cell => { const v = cell.dataset.v; return v === undefined ? cell.textContent.trim() : v === '' ? null : Number(v); };
document.querySelectorAll('table.sortable').forEach(table => table.querySelectorAll('thead th').forEach((head, i) => {
  head.querySelector('button').addEventListener('click', () => {
    const down = head.getAttribute('aria-sort') !== 'descending';
    table.querySelectorAll('thead th').forEach(h => h.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = value(a.cells[i]), y = value(b.cells[i]);
      if (x === null || y === null) return (x === null) - (y === null);
      return (typeof x === 'number' ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
    });
    table.tBodies[0].append(...rows);
  });
}));
// what the address names; a fragment that is no text names nothing
const linked = () => { try { return document.getElementById(decodeURIComponent(location.hash.slice(1))); } catch { return null; } };
// rows that have all words stay, and the students alone that they are compared with; sections without any go
const filter = document.getElementById('filter'), told = document.getElementById('told');
const sift = () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = e => { const text = e.textContent.toLowerCase(); return words.every(w => text.includes(w)); };
  document.querySelectorAll('table.rows').forEach(table => {
    const rows = [...table.tBodies[0].rows], found = rows.filter(fits), students = new Set(found.map(r => r.cells[0].textContent));
    rows.forEach(r => { r.hidden = !found.includes(r) && !(r.classList.contains('alone') && students.has(r.cells[0].textContent)); });
    table.dataset.found = found.length;
  });
  document.querySelectorAll('details.run').forEach(e => { e.hidden = !fits(e); });
  const count = part => [...part.querySelectorAll('table.scores')].reduce((sum, t) => sum + Number(t.dataset.found), 0);
  document.querySelectorAll('main section').forEach(s => { s.hidden = words.length > 0 && ![...s.querySelectorAll('table.rows')].some(t => t.dataset.found > 0); });
  const panels = [...document.querySelectorAll('[role=tabpanel]')], rows = n => n + (n === 1 ? ' row fits' : ' rows fit');
  const others = panels.filter(p => p.hidden && count(p)).map(p => count(p) + ' in ' + p.dataset.name);
  const here = panels.find(p => !p.hidden) || document.querySelector('main');
  told.textContent = words.length ? rows(count(here)) + (panels.length ? ' here' + (others.length ? '; ' + others.join(', ') : '; none in other tabs') : '') : '';
};
filter.addEventListener('input', sift);
