const value = cell => { const v = cell.dataset.v; return v === undefined ? cell.textContent.trim() : v === '' ? null : Number(v); };
document.querySelectorAll('table.sortable').forEach(table => table.querySelectorAll('th').forEach((head, i) => {
  const button = head.querySelector('button');
  if (button) button.addEventListener('click', () => {
    const down = head.getAttribute('aria-sort') !== 'descending';
    table.querySelectorAll('th').forEach(h => h.removeAttribute('aria-sort'));
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = value(a.cells[i]), y = value(b.cells[i]);
      if (x === null || y === null) return (x === null) - (y === null);
      return (typeof x === 'number' ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
    });
    table.tBodies[0].append(...rows);
  });
}));
document.getElementById('filter').addEventListener('input', event => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  document.querySelectorAll('table.sortable tbody tr, details.run').forEach(e => { const text = e.textContent.toLowerCase(); e.hidden = !words.every(w => text.includes(w)); });
});
